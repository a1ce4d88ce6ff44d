"""Many todos over HTTP."""

from typing import Final
from uuid import UUID

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from common.docs.responses import BODY, problems
from common.http.idempotency import KEYED
from common.http.strict import StrictBody
from todo_svc.bulk.repository import BulkRepository
from todo_svc.bulk.schemas import Batch, BatchResults, Changed

MAXIMUM_BODY: Final = 1024 * 1024  # bytes


class BulkController(Controller):
    """Many of the caller's todos."""

    tags = ("todos",)

    @post(
        "/todos/batch",
        status_code=200,
        opt=KEYED,
        dto=StrictBody[Batch],
        return_dto=None,
        request_max_body_size=MAXIMUM_BODY,
        responses=problems(401, 404, *BODY),
    )
    async def run_batch(self, data: JSONBody[Batch], bulk_repository: NamedDependency[BulkRepository]) -> BatchResults:
        """Create, change and delete up to 100 todos, in order, all of it or nothing.

        Where one fails the answer is that one's own error, and `errors` names it, such as `body.operations[3]`.
        """
        return BatchResults(await bulk_repository.run(data.operations))

    @post("/lists/{list_id:uuid}/complete-all", status_code=200, responses=problems(401, 404))
    async def complete_all(self, list_id: FromPath[UUID], bulk_repository: NamedDependency[BulkRepository]) -> Changed:
        """Complete every todo of a list that is not."""
        return Changed(await bulk_repository.complete_all(list_id))

    @post("/lists/{list_id:uuid}/clear-completed", status_code=200, responses=problems(401, 404))
    async def clear_completed(
        self, list_id: FromPath[UUID], bulk_repository: NamedDependency[BulkRepository]
    ) -> Changed:
        """Put every completed todo of a list into the trash."""
        return Changed(await bulk_repository.clear_completed(list_id))
