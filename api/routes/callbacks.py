"""What brokers call: the login redirect of a browser, and signed messages about orders."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import AfterValidator

from api import connecting, pages
from api.declared import BODY, BROKER_CALL, PARAMETERS, errors
from api.deps import Address, Platform
from api.errors import ApiError, ErrorCode
from api.routes.tags import BROKER
from api.schemas.broker import PostbackTaken
from api.schemas.common import storable
from api.tokens import BROKER_LOGIN
from brokers.parts import Postbacks
from cache.channels import publish_order_hint
from cache.connection import CacheUnavailable
from runtime.brokers import postbacks_of
from storage.models import BrokerAccount
from storage.repositories import accounts
from trading.accounts import BrokerName, LoginAnswer
from trading.ports.broker import BrokerRefused, UnreadableAnswer
from trading.ports.sealing import SealBroken

log = structlog.get_logger()
router = APIRouter(tags=[BROKER])

# Their redirect carries a code and nothing of ours. What it is good for is bound to the key it was made with.
_WITHOUT_STATE = frozenset({BrokerName.DHAN})

_UNREADABLE = "the body is not a message about an order as that broker writes them"

BrokerPath = Annotated[str, Path(max_length=24, examples=["zerodha"])]
Text = Annotated[str, AfterValidator(storable), Query(max_length=4_000)]


class Brought:
    """What the brokers' redirects carry, each under its own name."""

    def __init__(
        self,
        request_token: Annotated[Text, Query(description="Zerodha")] = "",
        auth_code: Annotated[Text, Query(description="Fyers")] = "",
        token_id: Annotated[Text, Query(alias="tokenId", description="Dhan")] = "",
        auth_token: Annotated[Text, Query(description="Angel One")] = "",
        feed_token: Annotated[Text, Query(description="Angel One")] = "",
        refresh_token: Annotated[Text, Query(description="Angel One")] = "",
    ) -> None:
        self._code = request_token or auth_code or token_id
        self._tokens = (auth_token or None, refresh_token or None, feed_token or None)

    def answer(self) -> LoginAnswer:
        if self._code:
            return LoginAnswer(code=self._code)
        access_token, refresh_token, feed_token = self._tokens
        if access_token is None:
            return LoginAnswer()
        return LoginAnswer(access_token=access_token, refresh_token=refresh_token, feed_token=feed_token)


@router.get(
    "/broker/{broker}/callback",
    operation_id="brokerLoginCallback",
    response_class=HTMLResponse,
    responses=errors(
        PARAMETERS,
        BROKER_CALL,
        ErrorCode.LOGIN_STATE_INVALID,
        ErrorCode.BROKER_NOT_FOUND,
        ErrorCode.BROKER_NOT_CONNECTED,
        ErrorCode.BROKER_ALREADY_CONNECTED,
    ),
)
async def login_callback(
    broker: BrokerPath,
    platform: Platform,
    brought: Annotated[Brought, Depends()],
    state: Text = "",
) -> HTMLResponse:
    """Where a broker's login page leads back to. The signed state says whose login it was; nobody has to be logged in here. A
    broker that carries no state (Dhan) leads to a page with the code for the app to send. Errors are pages too for whoever asks
    for HTML, as browsers do."""
    name = connecting.broker_named(platform, broker)
    answer = brought.answer()
    if not state and name in _WITHOUT_STATE and answer.code:
        return pages.one_step_left(answer.code)
    try:
        claims = platform.signer.read(state, audience=BROKER_LOGIN)
    except ApiError as error:
        raise ApiError(ErrorCode.LOGIN_STATE_INVALID) from error
    if answer.is_empty:
        raise ApiError(ErrorCode.BROKER_AUTH_FAILED, "the broker reports that the login was not completed")
    async with platform.database.transaction() as session:
        account = await accounts.find(session, account_id=claims.subject_id, user_id=claims.user_id)
    if account is None or account.broker is not name:
        raise ApiError(ErrorCode.LOGIN_STATE_INVALID)
    await connecting.renew(platform, user_id=claims.user_id, account_id=claims.subject_id, answer=answer)
    return pages.logged_in()


@router.post(
    "/postback/{broker}",
    operation_id="brokerPostback",
    responses=errors(BODY, ErrorCode.BROKER_NOT_SUPPORTED, ErrorCode.BAD_SIGNATURE, ErrorCode.RATE_LIMITED),
)
async def postback(broker: BrokerPath, platform: Platform, request: Request, address: Address) -> PostbackTaken:
    """A broker's message that an order has changed, taken as a hint to read the book. Signed with the account's secret where the
    broker signs; where it does not, only so many a minute are taken from one address."""
    name = connecting.broker_named(platform, broker)
    postbacks = postbacks_of(name)
    if postbacks is None:
        raise ApiError(ErrorCode.BROKER_NOT_SUPPORTED, f"{name.value} sends no messages about orders")
    if not postbacks.are_signed:
        await platform.throttle.hint(address=address)
    body = await request.body()
    try:
        claimed = storable(postbacks.claimed_user_id(body))
    except (UnreadableAnswer, ValueError) as error:
        raise ApiError(ErrorCode.MALFORMED_JSON, _UNREADABLE) from error
    async with platform.database.transaction() as session:
        candidates = await accounts.of_broker_user(session, broker=name, broker_user_id=claimed)
    signed = [account for account in candidates if _is_signed(platform, postbacks, account, body)]
    if not signed:
        raise ApiError(ErrorCode.BAD_SIGNATURE)
    for account in signed:
        try:
            await publish_order_hint(platform.redis, account.id)
        except CacheUnavailable as error:
            log.warning("postback_without_redis", error=str(error))
    return PostbackTaken()


def _is_signed(platform: Platform, postbacks: Postbacks, account: BrokerAccount, body: bytes) -> bool:
    try:
        secret = platform.accounts.credentials(account).api_secret
        postbacks.read(body, secret)
    except (BrokerRefused, SealBroken):
        return False
    except UnreadableAnswer as error:
        raise ApiError(ErrorCode.MALFORMED_JSON, _UNREADABLE) from error
    return True
