"""Where mailed links lead: pages that send the token on when a button is pressed; a mail scanner uses nothing up."""

from base64 import b64encode
from hashlib import sha256
from string import Template
from typing import Final

from litestar import Response, get

from common.auth import PUBLIC

_SCRIPT: Final = """
const form = document.querySelector("form"), said = document.querySelector("output");
form.addEventListener("submit", async event => {
  event.preventDefault();
  const token = new URLSearchParams(location.hash.slice(1)).get("token") || "";
  try {
    const answer = await fetch(location.pathname, {
      method: "POST",
      headers: {"Content-Type": "application/json"},
      body: JSON.stringify({...Object.fromEntries(new FormData(form)), token}),
    });
    const problem = answer.ok ? {} : await answer.json();
    said.textContent = answer.ok ? form.dataset.done : problem.reason || problem.detail;
    if (answer.ok) {
      history.replaceState(null, "", location.pathname);
      form.remove();
    }
  } catch {
    said.textContent = "The service cannot be reached right now; please try again.";
  }
});
"""

POLICY: Final = (
    f"default-src 'none'; script-src 'sha256-{b64encode(sha256(_SCRIPT.encode()).digest()).decode()}'; "
    "style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_PAGE: Final = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<link rel="icon" href="data:,">
<style>body { font: 1.1em/1.5 sans-serif; max-width: 28em; margin: 4em auto; padding: 0 1em }
input, button { font: inherit; padding: .4em .8em } label, input { display: block; margin-bottom: .6em }</style>
</head>
<body>
<h1>$title</h1>
<noscript>This page needs JavaScript.</noscript>
<form data-done="$done">$fields<button>$button</button></form>
<p><output aria-live="polite"></output></p>
<script>$script</script>
</body>
</html>
""")

_ONE_FIELD: Final = (
    '<label for="password">New password</label>'
    '<input id="password" name="password" type="password" autocomplete="new-password" required>'
)


def _page(*, title: str, fields: str, button: str, done: str) -> Response[bytes]:
    text = _PAGE.substitute(title=title, fields=fields, button=button, done=done, script=_SCRIPT)
    headers = {"Content-Security-Policy": POLICY}
    return Response(text.encode(), headers=headers, media_type="text/html")


@get("/auth/verify", opt={"auth": PUBLIC}, include_in_schema=False, sync_to_thread=False)
def verify_page() -> Response[bytes]:
    """Confirms an address."""
    return _page(
        title="Confirm your e-mail address", fields="", button="Confirm", done="Thank you, the address is confirmed."
    )


@get("/auth/reset-password", opt={"auth": PUBLIC}, include_in_schema=False, sync_to_thread=False)
def reset_page() -> Response[bytes]:
    """Sets a new password."""
    return _page(
        title="Set a new password", fields=_ONE_FIELD, button="Set it", done="Done. Log in with the new password."
    )
