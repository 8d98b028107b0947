"""Users, strategies and the audit log, as an Admin sees them."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from api.schemas.auth import Email, NewPassword
from api.schemas.common import Answer, Instant, StrictBody, YesNo
from api.schemas.strategy import ID_EXAMPLE, PlanAnswer, RunAnswer, Stopped
from storage.models import Role, UserState
from trading.accounts import BrokerName

_STAFF = "For the role Broker: whose staff it is"


class UserAnswer(Answer):
    user_id: str
    email: str
    name: str
    role: Role
    state: UserState
    broker: str | None = Field(description=_STAFF)
    created_at: Instant


class CreateUser(StrictBody):
    """The new user can log in at once."""

    email: Email
    password: NewPassword
    name: str = Field("", max_length=200, examples=["Asha Rao"])
    role: Role = Role.USER
    broker: BrokerName | None = Field(None, description=_STAFF)


class ChangeUser(StrictBody):
    """What is left out stays."""

    email: Email | None = None
    name: str | None = Field(None, max_length=200)
    role: Role | None = None
    state: UserState | None = Field(None, description="Suspended users are logged out at once; their open runs go on")
    broker: str | None = Field(None, max_length=24, description=_STAFF)


class UserDeleted(Answer):
    user_id: str
    status: Literal["deleted"] = "deleted"


class StrategyOfUser(Answer):
    """A strategy with its owner and its newest run."""

    strategy: PlanAnswer

    owner_id: str
    owner_email: str
    broker: BrokerName | None
    newest_run: RunAnswer | None = Field(description="Null before the first start")


class ForceStop(StrictBody):
    reason: str = Field(
        min_length=3, max_length=500, description="The owner reads it", examples=["Your broker asked us to end this position"]
    )
    square_off: YesNo = Field(True, description="Sell what is held; false leaves the position and only cancels what rests")


class ForceStopped(Answer):
    strategy_id: str = Field(examples=[ID_EXAMPLE])
    stopped: Stopped | None = Field(description="Null: nothing was running; a repeating strategy will not start again")


class AuditAnswer(Answer):
    number: int = Field(description="In the order of writing")
    sequence: int | None = Field(description="The place in the chain; null: not sealed yet")
    at: Instant
    actor_id: str | None = Field(description="Null: the machine itself")
    action: str
    subject_id: str | None
    data: Mapping[str, Any]
    hash: str | None


class AuditCheck(Answer):
    """The whole log, proved entry by entry."""

    is_whole: bool
    broken_at: int | None = Field(description="The first place in the chain that is not as it was sealed")
    why: str
    sealed: int = Field(description="Entries in the chain")
    head_hash: str = Field(description="Write it down elsewhere: it proves later that the chain up to here was not made anew")
    unsealed: int = Field(description="Entries too new to be in the chain; nothing protects them yet")
    oldest_unsealed_at: Instant | None
