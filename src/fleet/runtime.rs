//! The threads a fleet runs on, and their end.

use std::future::Future;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// A runtime on threads of its own.
///
/// Forked children inherit this value without the threads: there it must neither be joined nor woken.
#[derive(Debug)]
pub(crate) struct Threads {
    process: u32,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// Tasks are dropped at once; this is for a worker that is in the middle of something.
const PATIENCE: Duration = Duration::from_secs(5);

impl Threads {
    /// Starts the threads. `setup` runs first, inside the runtime, and what it says goes back to the caller.
    pub(crate) fn start<F>(workers: usize, setup: F) -> io::Result<Self>
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let runtime = build(workers)?;
        let (stop, stopped) = oneshot::channel();
        let (started, start_result) = std::sync::mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("fleet".into()).spawn(move || {
            runtime.block_on(async {
                let ready = setup.await;
                let failed = ready.is_err();
                // The caller waits for this and cannot be gone.
                let _ = started.send(ready);
                if !failed {
                    // An error means that the other end was dropped, which is a stop as well.
                    let _ = stopped.await;
                }
            });
            // Drops every task, and with it every socket.
            runtime.shutdown_timeout(PATIENCE);
        })?;
        let threads = Self { process: std::process::id(), running: Some((stop, thread)) };
        match start_result.recv() {
            Ok(Ok(())) => Ok(threads),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::Error::other("the fleet's thread ended at once")),
        }
    }

    /// Stops and joins the threads; in a forked child, forgets them.
    pub(crate) fn stop(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        if self.process != std::process::id() {
            // Waking would write to a descriptor shared with the parent; joining would wait for ever.
            std::mem::forget(running);
            return;
        }
        let (stop, thread) = running;
        // An error means that the thread has ended already.
        let _ = stop.send(());
        // A panic there has been reported there.
        let _ = thread.join();
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop();
    }
}

fn build(workers: usize) -> io::Result<Runtime> {
    // One worker needs no scheduler that steals work, and no second thread beside the waiting one.
    let mut builder = if workers == 1 {
        Builder::new_current_thread()
    } else {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(workers).thread_name("fleet-worker");
        builder
    };
    builder.enable_all().build()
}
