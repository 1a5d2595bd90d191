"""Every name that leaves the process: of attributes, metrics, logs and scopes."""

from __future__ import annotations

from typing import Final

SCOPE: Final = "aiotel"
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"

# Attributes of OpenTelemetry's semantic conventions.
CODE_FUNCTION_NAME: Final = "code.function.name"
CODE_FILE_PATH: Final = "code.file.path"
CODE_LINE_NUMBER: Final = "code.line.number"
CODE_STACKTRACE: Final = "code.stacktrace"
ERROR_TYPE: Final = "error.type"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"

# Attributes of ours.
TASK_NAME: Final = "asyncio.task.name"
TASK_OUTCOME: Final = "asyncio.task.outcome"
TASK_CREATED_FUNCTION: Final = "asyncio.task.created.function"
TASK_CREATED_FILE: Final = "asyncio.task.created.file"
TASK_CREATED_LINE: Final = "asyncio.task.created.line"
TASK_SCHEDULE_DURATION: Final = (
    "asyncio.task.schedule.duration"  # of a span or a log; the metric has the same name
)
# Of a span and, in a histogram, of a function's tasks; with exact timing.
TASK_RUN_DURATION: Final = "asyncio.task.run.duration"
TASK_SCHEDULED_DURATION: Final = "asyncio.task.scheduled.duration"
TASK_WAITING_DURATION: Final = "asyncio.task.waiting.duration"
TASK_STEPS: Final = "asyncio.task.steps"
TASK_STEP_LONGEST: Final = "asyncio.task.step.longest"
TASK_DETACHED_REASON: Final = "asyncio.task.detached.reason"
TASK_PARENT_TRACE_ID: Final = "asyncio.task.parent.trace_id"
TASK_PARENT_SPAN_ID: Final = "asyncio.task.parent.span_id"
TASK_CANCELLED_BY: Final = "asyncio.task.cancelled.by"
TASK_CANCELLED_REASON: Final = "asyncio.task.cancelled.reason"
TASK_CANCELLED_MESSAGE: Final = "asyncio.task.cancelled.message"
TASK_CANCELLED_ORIGIN: Final = "asyncio.task.cancelled.origin"
TASK_CANCELLED_FUNCTION: Final = "asyncio.task.cancelled.function"
TASK_CANCELLED_FILE: Final = "asyncio.task.cancelled.file"
TASK_CANCELLED_LINE: Final = "asyncio.task.cancelled.line"
CANCELLATION_DURATION: Final = "asyncio.cancellation.duration"
TASK_SUSPENDED_FUNCTION: Final = "asyncio.task.suspended.function"
TASK_SUSPENDED_FILE: Final = "asyncio.task.suspended.file"
TASK_SUSPENDED_LINE: Final = "asyncio.task.suspended.line"
# A coroutine that was never awaited: `code.function.name` is its function, and `code.file.path` and
# `code.line.number` are those of the line that called it and dropped what it got, where that is certain.
COROUTINE_DROPPED_FUNCTION: Final = "asyncio.coroutine.dropped.function"
COROUTINE_DEFINED_FILE: Final = "asyncio.coroutine.defined.file"
COROUTINE_DEFINED_LINE: Final = "asyncio.coroutine.defined.line"
BLOCKING_CALL_NAME: Final = "asyncio.blocking_call.name"
"""The name of the call's audit event."""
BLOCKING_CALL_CALLER_FUNCTION: Final = "asyncio.blocking_call.caller.function"
BLOCKING_CALL_CALLER_FILE: Final = "asyncio.blocking_call.caller.file"
BLOCKING_CALL_CALLER_LINE: Final = "asyncio.blocking_call.caller.line"
TASK_FUNCTION: Final = "asyncio.task.function"  # where `code.function.name` is not the task's
EXCEPTION_SOURCE: Final = "asyncio.exception.source"
EXCEPTION_LEAVES: Final = "asyncio.exception.leaves"
STALL_CAUSE: Final = "asyncio.stall.cause"
STALL_DURATION: Final = "asyncio.stall.duration"
STALL_EVIDENCE: Final = "asyncio.stall.evidence"
STALL_WAITED_TASKS: Final = "asyncio.stall.waited.tasks"
STALL_WAITED_DURATION: Final = "asyncio.stall.waited.duration"
STALL_TASK_NAME: Final = "asyncio.stall.task.name"
EVENTLOOP_STATE: Final = "asyncio.eventloop.state"
HANDLE_STATE: Final = "asyncio.handle.state"
CALLBACK_TYPE: Final = "asyncio.callback.type"
REPEATED: Final = "asyncio.repeated"
"""How often the same happened again: of a log that tells a number."""
EXECUTOR_TYPE: Final = "asyncio.executor.type"
EXECUTOR_STACKS: Final = "asyncio.executor.stacks"
EXECUTOR_STARVED_DURATION: Final = "asyncio.executor.starved.duration"
FINDING_KIND: Final = "asyncio.finding.kind"
DROPPED_KIND: Final = "aiotel.dropped.kind"

# Metrics.
EVENTLOOP_COUNT: Final = "asyncio.eventloop.count"
EVENTLOOP_DELAY: Final = "asyncio.eventloop.delay"
EVENTLOOP_HEARTBEAT_AGE: Final = "asyncio.eventloop.heartbeat.age"
EVENTLOOP_TIME: Final = "asyncio.eventloop.time"
EVENTLOOP_CPU_TIME: Final = "asyncio.eventloop.cpu.time"
EVENTLOOP_UTILIZATION: Final = "asyncio.eventloop.utilization"
EVENTLOOP_ITERATIONS: Final = "asyncio.eventloop.iterations"
EVENTLOOP_HANDLE_COUNT: Final = "asyncio.eventloop.handle.count"
EVENTLOOP_STALL_DURATION: Final = "asyncio.eventloop.stall.duration"
SLOW_CALLBACKS: Final = "asyncio.slow_callbacks"
TASK_COUNT: Final = "asyncio.task.count"
TASK_STARTED: Final = "asyncio.task.started"
TASK_DURATION: Final = "asyncio.task.duration"
EXCEPTIONS: Final = "asyncio.exceptions"
EXCEPTIONS_HANDLED: Final = "asyncio.exceptions.handled"
NEVER_AWAITED: Final = "asyncio.coroutine.never_awaited"  # the log has the same name
EXECUTOR_QUEUE_DURATION: Final = "asyncio.executor.queue.duration"
EXECUTOR_QUEUE_SIZE: Final = "asyncio.executor.queue.size"  # of a log, too, as those of threads
EXECUTOR_THREAD_ACTIVE: Final = "asyncio.executor.thread.active"
EXECUTOR_THREAD_COUNT: Final = "asyncio.executor.thread.count"
EXECUTOR_THREAD_LIMIT: Final = "asyncio.executor.thread.limit"
FINDINGS: Final = "asyncio.findings"
BLOCKING_CALLS: Final = "asyncio.blocking_calls"
DROPPED: Final = "aiotel.dropped"
OVERHEAD_TIME: Final = "aiotel.overhead.time"

# Logs.
EXCEPTION: Final = "exception"
TASK_UNRETRIEVED: Final = "asyncio.task.unretrieved"
TASK_RETRIEVED: Final = "asyncio.task.retrieved"
CANCELLATION_SWALLOWED: Final = "asyncio.cancellation.swallowed"
CANCELLATION_SLOW: Final = "asyncio.cancellation.slow"
TASK_DESTROYED_PENDING: Final = "asyncio.task.destroyed_pending"
TASK_NEVER_STARTED: Final = "asyncio.task.never_started"
STALL: Final = "asyncio.stall"
STALL_ENDED: Final = "asyncio.stall.ended"
STALL_WAITED: Final = "asyncio.stall.waited"  # on the spans of those that had to wait
ASYNCGEN_NOT_CLOSED: Final = "asyncio.asyncgen.not_closed"
EXECUTOR_STARVED: Final = "asyncio.executor.starved"
EXECUTOR_RECOVERED: Final = "asyncio.executor.recovered"
BLOCKING_CALL: Final = "asyncio.blocking_call"

# Findings: the last part of the names of their logs.
DESTROYED_PENDING: Final = "destroyed_pending"
NEVER_STARTED: Final = "never_started"
NOT_CLOSED: Final = "not_closed"
STARVED: Final = "starved"

OTHER: Final = "_OTHER"
"""What stands for all values beyond a limit."""
