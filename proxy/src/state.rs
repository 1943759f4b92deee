//! What a configuration has become: routes and pools, immutable, replaced as a whole by a reload. A request keeps the
//! state that it began with. What outlives a reload lies beside it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::body;
use crate::client::connection::Connections;
use crate::client::tls::{Certificates, Tls};
use crate::config::Config;
use crate::observe::access_log::Logs;
use crate::observe::metrics::Metrics;
use crate::observe::traces::Traces;
use crate::pool::{Overrides, Pool, PoolError};
use crate::request::LookUp;
use crate::route::{RouteError, Router, Surroundings};
use crate::script::Store;
use crate::upstream::poison::PoisonMemory;
use crate::upstream::retry::Budget;

/// Routes, pools and all else that a configuration says.
pub struct State {
    pub config: Config,
    pub router: Router,
    pub pools: HashMap<String, Arc<Pool>>,
    /// Counts all requests, whichever route they take.
    pub retry_budget: Arc<Budget>,
    pub logs: Logs,
    pub traces: Option<Arc<Traces>>,
    /// Memory for all requests' bodies.
    pub body_budget: Arc<body::Budget>,
    /// What scripts remember.
    pub scripts: Arc<Store>,
    /// None where there are none.
    pub tables: Option<Arc<dyn LookUp>>,
    /// Closes when the last request that began under this state has let go of it.
    in_use: watch::Sender<()>,
}

/// Why a good configuration cannot be put to work.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(transparent)]
    Pool(#[from] PoolError),
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error("cannot open the access log: {0}")]
    AccessLog(#[source] io::Error),
    #[error("cannot tell of traces: {0}")]
    Traces(#[source] io::Error),
}

impl State {
    /// Builds pools, and takes over from `previous` all that is alive in them; those that have not changed live on
    /// themselves. Resolves names, and blocks while it does.
    pub fn build(config: Config, previous: Option<&Self>) -> Result<Self, StateError> {
        let mut pools = HashMap::new();
        for (name, settings) in &config.pools {
            let before = previous.and_then(|previous| previous.pools.get(name));
            let pool = match before {
                Some(before) if before.is_as(settings) => Arc::clone(before),
                _ => Pool::new(name, settings, before.map(Arc::as_ref))?,
            };
            pools.insert(name.clone(), pool);
        }
        let own = config.routes.iter().flat_map(|route| route.access_log.own());
        let before = previous.map(|previous| &previous.logs);
        let logs = Logs::open(&config.access_log, own, before).map_err(StateError::AccessLog)?;
        let traces = match (&config.traces, previous) {
            (None, _) => None,
            (Some(wanted), previous) => {
                let before = previous.and_then(|previous| previous.traces.clone());
                match before.filter(|traces| traces.are_as(wanted)) {
                    Some(traces) => Some(traces),
                    None => Some(Arc::new(Traces::open(wanted).map_err(StateError::Traces)?)),
                }
            }
        };
        let body_budget = body::Budget::new(&config.body, previous.map(|previous| &previous.body_budget));
        let retry_budget = match previous {
            Some(previous) if previous.config.retry_budget == config.retry_budget => Arc::clone(&previous.retry_budget),
            _ => Arc::new(Budget::new(&config.retry_budget, Instant::now())),
        };
        let scripts = previous
            .map(|previous| Arc::clone(&previous.scripts))
            .unwrap_or_default();
        Ok(Self {
            router: Router::new(
                &config.routes,
                &Surroundings::of(&pools).remembering(&scripts).logging(&logs),
                previous.map(|previous| &previous.router),
            )?,
            pools,
            retry_budget,
            logs,
            traces,
            body_budget,
            scripts,
            tables: config.tables.for_requests(),
            in_use: watch::Sender::new(()),
            config,
        })
    }

    /// Ready once nobody holds the state any more.
    pub fn out_of_use(&self) -> impl Future<Output = ()> + use<> {
        let mut in_use = self.in_use.subscribe();
        async move { while in_use.changed().await.is_ok() {} }
    }

    /// What operators have commanded, by pool.
    pub fn overrides(&self) -> BTreeMap<String, Overrides> {
        let all = self
            .pools
            .iter()
            .map(|(name, pool)| (name.clone(), pool.operator().overrides()));
        all.filter(|(_, overrides)| !overrides.is_empty()).collect()
    }

    /// Does as a predecessor was commanded.
    pub fn obey(&self, overrides: &BTreeMap<String, Overrides>) {
        for (name, overrides) in overrides {
            if let Some(pool) = self.pools.get(name) {
                pool.operator().obey(overrides);
            }
        }
    }

    /// Whether every pool has somebody to serve.
    pub fn is_served(&self) -> bool {
        self.pools.values().all(|pool| pool.eligible() > 0)
    }
}

/// What requests, the admin and the run loop share.
pub struct Shared {
    pub state: ArcSwap<State>,
    pub connections: Arc<Connections>,
    pub metrics: Metrics,
    /// Bodies on which workers have died.
    pub poison: PoisonMemory,
    /// What open listeners speak TLS with, by their names; contended by reloads and whoever asks for numbers.
    tls: Mutex<BTreeMap<String, Tls>>,
    listening: AtomicBool,
    draining: AtomicBool,
}

impl Shared {
    pub fn new(state: State, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            state: ArcSwap::from_pointee(state),
            connections: Arc::default(),
            metrics,
            poison: PoisonMemory::default(),
            tls: Mutex::default(),
            listening: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        })
    }

    /// A listener speaks TLS, or does not any more.
    pub fn set_tls(&self, listener: &str, tls: Option<&Tls>) {
        let mut all = self.tls.lock();
        match tls {
            Some(tls) => drop(all.insert(listener.to_owned(), tls.clone())),
            None => drop(all.remove(listener)),
        }
    }

    /// The certificates that are shown at this moment, by listener.
    pub fn certificates(&self) -> Vec<(String, Arc<Certificates>)> {
        let all = self.tls.lock();
        all.iter()
            .map(|(name, tls)| (name.clone(), tls.certificates()))
            .collect()
    }

    /// The listeners are open.
    pub fn set_listening(&self) {
        self.listening.store(true, Ordering::Release);
    }

    /// No new requests are wanted.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether requests are welcome: the listeners are open, and every pool has somebody to serve.
    pub fn is_ready(&self) -> bool {
        self.listening.load(Ordering::Acquire) && !self.is_draining() && self.state.load().is_served()
    }
}
