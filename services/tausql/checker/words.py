"""A cycle in words: who did what, and why each must come before the next."""

from __future__ import annotations

from tausql.checker.anomaly import Anomaly, Name
from tausql.checker.graph import Step, Why
from tausql.checker.history import Attempt, Operation
from tausql.checker.transactions import History

OPERATIONS_MAX = 12
VALUES_MAX = 8
TRANSACTIONS_MAX = 12  # of a cycle; no shorter one was found


def as_anomaly(history: History, steps: list[Step]) -> Anomaly:
    """`steps` lead back to their beginning."""
    name = name_of(history, steps)
    attempts = [history.attempt(step.source) for step in steps]
    numbers = tuple(attempt.number for attempt in attempts)
    lines = [
        ", ".join(f"T{number}" for number in numbers) + " must each come before the next, and the last before the first"
    ]
    keys = {step.key for step in steps}
    lines += [f"  {_told(attempt, keys)}" for attempt in attempts[:TRANSACTIONS_MAX]]
    lines += [f"  {_because(history, step)}" for step in steps[:TRANSACTIONS_MAX]]
    if len(steps) > TRANSACTIONS_MAX:
        lines.append(f"  ... and {len(steps) - TRANSACTIONS_MAX} more")
    return Anomaly(name, "\n".join(lines), numbers)


def name_of(history: History, steps: list[Step]) -> Name:
    why = [step.why for step in steps]
    overlooked = why.count(Why.rw)
    if Why.real_time in why:
        return Name.stale_read if overlooked == 1 else Name.real_time
    if Why.session in why:
        return Name.session
    if Why.lock in why:
        return Name.locked_cycle
    if not overlooked:
        return Name.write_cycle if set(why) == {Why.ww} else Name.circular_flow
    if overlooked > 1:
        return Name.long_fork
    return Name.lost_update if _is_lost_update(history, steps) else Name.read_skew


def _is_lost_update(history: History, steps: list[Step]) -> bool:
    """Two transactions, of which one overwrote under the same key what the other wrote unseen."""
    if len(steps) != 2:
        return False
    (over,) = (step for step in steps if step.why is Why.rw)
    wrote = {key for key, _ in history.attempt(over.source).writes()}
    return over.key in wrote


def _list(values: tuple[int, ...]) -> str:
    if len(values) <= VALUES_MAX:
        return f"[{', '.join(map(str, values))}]"
    half = VALUES_MAX // 2
    left_out = len(values) - 2 * half
    return f"[{', '.join(map(str, values[:half]))}, ({left_out} more), {', '.join(map(str, values[-half:]))}]"


def _done(operation: Operation) -> str:
    key, locked = operation.key, " for update" if operation.shared else ""
    match operation.kind:
        case "append":
            return f"append {operation.value} to {key}"
        case "write":
            return f"write {key} = {operation.value}"
        case "read":
            return f"read {key} = {_list(operation.values)}{locked}"
        case _:
            return f"get {key} = {operation.values[0] if operation.values else 'nothing'}{locked}"


def _told(attempt: Attempt, keys: set[str]) -> str:
    """What it did with `keys`, and how it ended."""
    here = [operation for operation in attempt.operations if operation.key in keys]
    parts = [_done(operation) for operation in here[:OPERATIONS_MAX]]
    if more := len(attempt.operations) - len(parts):
        parts.append(f"{more} more")
    did = "; ".join(parts)
    ended = {
        "ok": f"committed, told at {attempt.completed:.6f}",
        "fail": f"did not commit, over at {attempt.completed:.6f}",
        "info": f"not told whether it committed, over at {attempt.completed:.6f}",
    }
    return f"T{attempt.number} of {attempt.client} from {attempt.invoked:.6f}: {did}; {ended[attempt.status]}"


def _because(history: History, step: Step) -> str:
    before, after = history.attempt(step.source), history.attempt(step.target)
    reason = _reason(before, after, step, history)
    return f"T{before.number} before T{after.number}: {reason}"


def _reason(before: Attempt, after: Attempt, step: Step, history: History) -> str:
    key = step.key
    first, second = f"T{before.number}", f"T{after.number}"
    match step.why:
        case Why.real_time:
            return f"{first} was over at {before.completed:.6f}, before {second} began at {after.invoked:.6f}"
        case Why.session:
            return f"{before.client} ran {first} first"
        case Why.wr:
            return f"{second} read {_written(before, key)}, which {first} had written"
        case Why.ww if key in history.registers:
            return f"{second} read {_written(before, key)}, which {first} had written, and overwrote it"
        case Why.ww:
            return f"in {_written(before, key)} of {first} comes before {_values(after, key)} of {second}"
        case Why.lock:
            return f"{first} had locked {key} as it was without {_written(after, key)} of {second}"
        case Why.rw:
            return f"{first} read {_read(before, key)}, without {_written(after, key)} of {second}"


def _values(attempt: Attempt, key: str) -> str:
    return ", ".join(str(value) for where, value in attempt.writes() if where == key)


def _written(attempt: Attempt, key: str) -> str:
    return f"{key} {_values(attempt, key)}"


def _read(attempt: Attempt, key: str) -> str:
    for operation in attempt.operations:
        if operation.key == key and operation.kind in ("read", "get"):
            return _done(operation).partition(" ")[2]
    return key
