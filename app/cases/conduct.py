"""The seam between cases and what they are about: each kind's capability carries out its steps.

A step of a case moves what the case is about, in the same transaction: a claim's refund, a
disputed use. So the command that takes it belongs to the capability of the case's kind. It gives
one function to the composition root, which this package calls by kind and never imports.
"""

from collections.abc import Callable, Mapping

from app.cases.domain import Step
from app.cases.rows import CaseFile, CaseKind
from app.writer.commands import Command
from app.writer.requests import RequestKey

Conduct = Callable[[CaseFile, Step, RequestKey | None], Command]
"""Makes the writer's command that takes a step of a case.

The case is as it was read, before any lock. The command's decision finds it again under the
lock, takes the step with `cases.domain.after`, and does what follows from it. Its `result` is the
`CaseFile` after the step, its `subject_id` the case's id; where `after` gives the case itself it
changes nothing.
"""

Conducts = Mapping[CaseKind, Conduct]
