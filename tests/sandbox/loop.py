# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One asyncio loop in a thread of its own: simulated Talos nodes, TCP listeners and forwarders live on it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import typing as t

T = t.TypeVar("T")


class LoopThread:
    """Start a loop in a daemon thread; run() hands it a coroutine from any other thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[t.Any]] = set()
        self._thread = threading.Thread(target=self._serve, name="sandbox-loop", daemon=True)

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def run(self, work: t.Coroutine[t.Any, t.Any, T], timeout: float | None = 30.0) -> T:
        """Run a coroutine on the loop and wait for its result (never call this on the loop itself)."""
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("LoopThread.run() called on the loop would wait for itself; use spawn()")
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    def spawn(self, work: t.Coroutine[t.Any, t.Any, t.Any]) -> None:
        """Run a coroutine on the loop and do not wait; an exception goes to the loop's exception handler."""

        def start() -> None:
            task = self.loop.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._done)

        self.loop.call_soon_threadsafe(start)

    def _done(self, task: asyncio.Task[t.Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.loop.call_exception_handler({"message": "background task failed", "exception": error, "task": task})

    def stop(self) -> None:
        """Cancel what still runs, end the thread and close the loop."""
        if self._thread.is_alive():
            with contextlib.suppress(asyncio.CancelledError):
                self.run(self._cancel_all())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(10.0)
        self.loop.close()

    async def _cancel_all(self) -> None:
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self.loop.shutdown_asyncgens()
