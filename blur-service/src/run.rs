//! The life of the process: bind, load the models, serve, and on a signal finish what is in flight.

use std::{io::IsTerminal, sync::Arc, thread};

use anyhow::Context;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getppid, set_dumpable_behavior, set_parent_process_death_signal,
    setrlimit,
};
use rustix::thread::disable_transparent_huge_pages;
use service_notify::{Manager, Notice};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Notify, oneshot},
};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

use crate::{
    args::{Args, LogFormat, PictureArgs},
    clearing::clear_from_now_on,
    detect::{Detail, DetectError, Detectors},
    http::{self, Service},
    sandbox::{self, Sandbox},
};

/// Serves until a signal: TERM or INT finishes what is in flight, a second one ends at once.
///
/// # Errors
/// When the address cannot be had or the models cannot be read.
pub fn run(mut args: Args) -> anyhow::Result<()> {
    if args.die_with_parent {
        die_with_parent()?;
    }
    // A proxy goes without huge pages, and so would whom it starts; where the system has them, pictures are quicker with.
    let _ = disable_transparent_huge_pages(false);
    clear_from_now_on();
    start_log(args.log_format);
    keep_pictures_out_of_core_dumps();
    keep_pictures_out_of_panics();
    args.settle();
    let listener = args.listen.bind()?;
    println!("listening on http://{}", listener.local_addr()?);
    let manager = Arc::new(of_this_process());
    // While there still are paths.
    vitals::open();
    start_heic(&args.picture)?;
    let folder = args.picture.model_dir.as_deref();
    let models = folder.map(|folder| Detectors::load(Some(folder)));
    shut_in(args.sandbox)?;
    let service = Arc::new(Service::new(&args).context("cannot start the threads for pictures")?);
    let models = warm_models(models, args.picture.detail, service.clone(), manager.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(IO_THREADS)
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let stop = Notify::new();
        tokio::select! {
            result = http::serve(listener, &service, &args, &stop) => result,
            result = on_signal(&service, &stop, &args, &manager) => result,
            Ok(error) = models => Err(error),
        }
    });
    runtime.shutdown_background();
    result
}

/// Warms the models, or those of the program itself, on a thread of its own; only a failure is ever reported.
fn warm_models(
    loaded: Option<Result<Detectors, DetectError>>,
    detail: Detail,
    service: Arc<Service>,
    manager: Arc<Manager>,
) -> anyhow::Result<oneshot::Receiver<anyhow::Error>> {
    let (failed, failure) = oneshot::channel();
    thread::Builder::new().name("models".into()).spawn(move || {
        let loaded = loaded.unwrap_or_else(|| Detectors::load(None));
        match loaded.and_then(|models| models.warm(detail).map(|()| models)) {
            Ok(models) => {
                service.models_are_warm(models);
                info!("models are warm");
                tell(&manager, Notice::Ready);
            }
            // The receiver is gone only when the process ends anyway.
            Err(error) => drop(failed.send(anyhow::Error::new(error).context("cannot load the models"))),
        }
    })?;
    Ok(failure)
}

/// The first signal begins the drain: `/health` tells, and the listener closes once nothing is in flight. The second
/// one ends everything.
async fn on_signal(service: &Service, stop: &Notify, args: &Args, manager: &Manager) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut next = async || tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} };
    next().await;
    info!(in_flight = service.in_flight(), "draining");
    tell(manager, Notice::Stopping);
    service.drain();
    let drained = async {
        // Whatever is left after the time is cut off.
        let _ = tokio::time::timeout(args.drain_timeout.0, service.idle()).await;
        stop.notify_one();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = next() => error!(in_flight = service.in_flight(), "second signal: ending at once"),
        () = drained => {}
    }
    Ok(())
}

/// systemd, if it has started this process; its socket is opened while there is a way to it.
fn of_this_process() -> Manager {
    let manager = Manager::of_this_process();
    manager.clone().opened().unwrap_or_else(|error| {
        warn!(%error, "cannot open the socket of systemd");
        manager
    })
}

fn tell(manager: &Manager, notice: Notice) {
    if let Err(error) = manager.tell(notice) {
        warn!(%error, "cannot tell systemd {notice:?}");
    }
}

/// While programs may be started. A decoder that nobody has named may fail to start, as where libheif is missing.
fn start_heic(args: &PictureArgs) -> anyhow::Result<()> {
    match args.start_heic() {
        Ok(true) => info!("HEIC is read"),
        Ok(false) => info!("HEIC is not read: its decoder is not installed"),
        Err(error) if args.heic_decoder.is_some() => return Err(error),
        Err(error) => warn!("HEIC is not read: {error:#}"),
    }
    Ok(())
}

/// While there is one thread, since Landlock holds a thread and those that it starts.
fn shut_in(sandbox: Sandbox) -> anyhow::Result<()> {
    if sandbox == Sandbox::Off {
        return Ok(());
    }
    let walls = sandbox::shut_in();
    let gaps: Vec<String> = walls.gaps().map(ToString::to_string).collect();
    if gaps.is_empty() {
        info!("shut in: no path, no connection, no program");
    } else if sandbox == Sandbox::Require {
        anyhow::bail!("cannot shut the process in: {}", gaps.join("; "));
    } else {
        warn!(gaps = gaps.join("; "), "the process is not shut in as far as could be");
    }
    Ok(())
}

/// The parent may have died before the kernel was asked to tell: then the answer to who it is has changed.
fn die_with_parent() -> anyhow::Result<()> {
    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::KILL)).context("cannot ask to end with the parent")?;
    if getppid() != parent || parent.is_none() {
        anyhow::bail!("the parent has ended");
    }
    Ok(())
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("BLUR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Within another program the log is set up already.
    let _ = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}

/// Neither by the limit nor, where the kernel hands cores to a program in spite of it, by whatever that does: see core(5).
fn keep_pictures_out_of_core_dumps() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let switched_off =
        setrlimit(Resource::Core, none).and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if let Err(error) = switched_off {
        error!(%error, "core dumps cannot be switched off");
    }
}

/// A panic's message could quote what it stumbled over; its place says enough.
fn keep_pictures_out_of_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        error!(place = place.as_deref().unwrap_or("unknown"), "panic");
    }));
}

/// Reading, answering and health checks; pictures have threads of their own.
const IO_THREADS: usize = 2;
