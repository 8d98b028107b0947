"""From rows to what clients get."""

from collections.abc import Sequence
from decimal import Decimal

from api.plans import effective_sell
from api.schemas.broker import Account, BrokerOrderAnswer, PositionAnswer
from api.schemas.strategy import OrderState, PlanAnswer, RunAnswer, Status, TimelineEvent
from api.schemas.trading import AlertAnswer, KillSwitchAnswer, OrderAnswer, RiskLimitsAnswer, RunUnderSwitch
from api.services import Services
from api.starting import is_logged_in
from api.switch_report import Line
from cache.runtime_view import View
from execution.alarm_kinds import kind_of
from runtime.accounts import known_identity
from storage.models import Alert, BrokerAccount, KillSwitch, Order, RiskLimit, Run, RunEvent, Strategy
from storage.repositories.strategies import plan_of
from trading.orders import BrokerOrder, BrokerPosition


def account_answer(services: Services, account: BrokerAccount) -> Account:
    return Account(
        broker_id=account.id,
        broker=account.broker,
        environment=account.environment,
        label=account.label,
        broker_user_id=known_identity(account),
        status="connected" if is_logged_in(services, account) else "login_required",
        token_expires_at=account.token_expires_at if account.broker.has_servers else None,
        health=account.health,
        health_detail=account.health_detail,
        created_at=account.created_at,
    )


def plan_answer(services: Services, strategy: Strategy) -> PlanAnswer:
    return PlanAnswer(
        strategy_id=strategy.id,
        user_id=strategy.user_id,
        status=strategy.state,
        name=strategy.name,
        exchange=strategy.exchange,
        symbol=strategy.symbol,
        product=strategy.product,
        quantity=strategy.quantity,
        buy_time=strategy.buy_time,
        sell_time=strategy.sell_time,
        effective_sell_time=effective_sell(services, plan_of(strategy)),
        stop_loss=strategy.stop_loss,
        target_price=strategy.target_price,
        trailing_by=strategy.trailing_by,
        trailing_percent=strategy.trailing_percent,
        backup_stop=strategy.backup_stop,
        repeat=strategy.repeat,
        max_lateness_seconds=strategy.max_lateness_seconds,
        broker_id=strategy.account_id,
        version=strategy.version,
        created_at=strategy.created_at,
        updated_at=strategy.updated_at,
    )


def average(value: Decimal, quantity: int) -> Decimal | None:
    return value / quantity if quantity else None


def run_answer(run: Run) -> RunAnswer:
    return RunAnswer(
        run_id=run.id,
        strategy_id=run.strategy_id,
        broker_id=run.account_id,
        environment=run.environment,
        strategy_version=run.strategy_version,
        trading_day=run.trading_day,
        state=run.state,
        exchange=run.exchange,
        symbol=run.symbol,
        product=run.product,
        quantity=run.quantity,
        buys_at=run.buy_at,
        sells_at=run.sell_at,
        stop_loss=run.stop_loss,
        target_price=run.target_price,
        trailing_by=run.trailing_by,
        trailing_percent=run.trailing_percent,
        backup_stop=run.backup_stop,
        highest_price=run.highest_price,
        position=run.position,
        last_action=run.last_action,
        bought=run.bought,
        average_buy_price=average(run.buy_value, run.bought),
        sold=run.sold,
        average_sell_price=average(run.sell_value, run.sold),
        realised_pnl=run.realised_pnl,
        exit_reason=run.exit_reason,
        end_reason=run.end_reason,
        end_detail=run.end_detail,
        entry_late_ms=run.entry_late_ms,
        exit_late_ms=run.exit_late_ms,
        started_at=run.started_at,
        ended_at=run.ended_at,
        created_at=run.created_at,
    )


def status_answer(view: View) -> Status:
    return Status(
        strategy_id=view.strategy_id,
        status=view.status,
        position=view.position,
        last_action=view.last_action,
        last_price=view.last_price,
        last_price_at=view.last_price_at,
        run_id=view.run_id,
        run_state=view.state,
        trading_day=view.trading_day,
        quantity=view.bought - view.sold,
        average_buy_price=average(view.buy_value, view.bought),
        average_sell_price=average(view.sell_value, view.sold),
        realised_pnl=view.realised_pnl,
        pnl=view.pnl,
        stop_loss=view.stop_loss,
        target_price=view.target_price,
        highest_price=view.highest_price,
        buys_at=view.buy_at,
        sells_at=view.sell_at,
        exit_reason=view.exit_reason,
        end_reason=view.end_reason,
        end_detail=view.end_detail,
        orders=[
            OrderState(
                order_id=order.order_id,
                leg=order.leg.value,
                attempt=order.attempt,
                state=order.state.value,
                quantity=order.quantity,
                filled_quantity=order.filled_quantity,
                average_price=order.average_price,
            )
            for order in view.orders
        ],
        as_of=view.as_of,
    )


def event_answer(event: RunEvent) -> TimelineEvent:
    return TimelineEvent(
        sequence=event.sequence,
        run_id=event.run_id,
        strategy_id=event.strategy_id,
        at=event.at,
        kind=event.kind,
        message=event.message,
        price=event.price,
        quantity=event.quantity,
        late_ms=event.late_ms,
    )


def order_answer(order: Order) -> OrderAnswer:
    return OrderAnswer(
        order_id=order.id,
        run_id=order.run_id,
        strategy_id=order.strategy_id,
        broker_id=order.account_id,
        trading_day=order.trading_day,
        leg=order.leg,
        attempt=order.attempt,
        state=order.state,
        exchange=order.exchange,
        symbol=order.symbol,
        product=order.product,
        side=order.side,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        price=order.price,
        average_price=order.average_price,
        reason=order.reason,
        tag=order.tag,
        broker_order_id=order.broker_order_id,
        exchange_order_id=order.exchange_order_id,
        message=order.message,
        late_ms=order.late_ms,
        wanted_at=order.wanted_at,
        sent_at=order.sent_at,
        acknowledged_at=order.acknowledged_at,
        filled_at=order.filled_at,
        ended_at=order.ended_at,
        created_at=order.created_at,
    )


def position_answer(position: BrokerPosition) -> PositionAnswer:
    return PositionAnswer(
        exchange=position.instrument.exchange,
        symbol=position.instrument.symbol,
        product=position.product,
        net_quantity=position.net_quantity,
        average_price=position.average_price,
        last_price=position.last_price,
    )


def broker_order_answer(order: BrokerOrder, *, ours: bool) -> BrokerOrderAnswer:
    return BrokerOrderAnswer(
        broker_order_id=order.broker_order_id,
        exchange=order.instrument.exchange,
        symbol=order.instrument.symbol,
        product=order.product,
        side=order.side,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        price=order.price,
        average_price=order.average_price,
        status=order.status,
        message=order.message,
        tag=order.tag,
        ours=ours,
        updated_at=order.updated_at,
    )


def kill_switch_answer(switch: KillSwitch, *, runs_affected: int = 0, lines: Sequence[Line] | None = None) -> KillSwitchAnswer:
    runs = None if lines is None else [_line_answer(line) for line in lines]
    return KillSwitchAnswer(
        kill_switch_id=switch.id,
        scope=switch.scope,
        scope_id=switch.scope_id,
        square_off=switch.square_off,
        reason=switch.reason,
        engaged_at=switch.engaged_at,
        status="engaged" if switch.released_at is None else "released",
        runs_affected=runs_affected,
        runs=runs,
    )


def _line_answer(line: Line) -> RunUnderSwitch:
    run = line.run
    return RunUnderSwitch(
        run_id=run.id, strategy_id=run.strategy_id, symbol=run.symbol, standing=line.standing, message=line.message
    )


def limits_answer(account_id: str, limits: RiskLimit | None) -> RiskLimitsAnswer:
    return RiskLimitsAnswer(
        broker_id=account_id,
        max_order_value=limits.max_order_value if limits else None,
        max_open_value=limits.max_open_value if limits else None,
        max_orders_per_day=limits.max_orders_per_day if limits else None,
        max_daily_loss=limits.max_daily_loss if limits else None,
        square_off_on_loss=limits.square_off_on_loss if limits else False,
    )


def alert_answer(alert: Alert) -> AlertAnswer:
    kind = kind_of(alert.kind)
    return AlertAnswer(
        alert_id=alert.id,
        kind=alert.kind,
        title=kind.title,
        severity=alert.severity,
        message=alert.message,
        ends_when=kind.ends,
        broker_id=alert.account_id,
        run_id=alert.run_id,
        raised_at=alert.raised_at,
        cleared_at=alert.cleared_at,
        acknowledged_at=alert.acknowledged_at,
    )
