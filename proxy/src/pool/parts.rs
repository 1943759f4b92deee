//! The parts of a pool, and how they are put together: from what the configuration says and from what was known before a reload.

use std::sync::Arc;

use super::admission::dispatcher::Dispatcher;
use super::admission::queue::Queue;
use super::choose::chooser::Chooser;
use super::choose::sticky::Sticky;
use super::config::PoolConfig;
use super::hedge::Hedge;
use super::members::backend::Backend;
use super::members::discovery::provider::Provider;
use super::members::health::Check;
use super::members::passive::PassiveHealth;
use super::members::roster::{Founders, Roster};
use super::members::spawned::{SpawnError, Workers};
use super::members::written::{Found, MemberProblem, refuse_twins, resolved};
use super::operator;
use super::tasks::Tasks;
use super::transport::{TlsError, Transport};

/// Why a pool cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("pool {pool:?}: {problem}")]
pub struct PoolError {
    pub pool: String,
    #[source]
    pub problem: PoolProblem,
}

#[derive(Debug, thiserror::Error)]
pub enum PoolProblem {
    #[error(transparent)]
    Member(#[from] MemberProblem),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

pub struct Parts {
    pub config: PoolConfig,
    pub roster: Arc<Roster>,
    pub chooser: Arc<Chooser>,
    pub dispatcher: Arc<Dispatcher>,
    pub transport: Arc<Transport>,
    pub tasks: Tasks,
}

impl Parts {
    pub fn new(name: &str, config: &PoolConfig, previous: Option<&Self>) -> Result<Self, PoolError> {
        Self::assemble(name, config, previous).map_err(|problem| PoolError {
            pool: name.to_owned(),
            problem,
        })
    }

    fn assemble(name: &str, config: &PoolConfig, previous: Option<&Self>) -> Result<Self, PoolProblem> {
        let mut fixed = written(config, previous)?;
        let workers = workers(config, previous)?;
        fixed.extend(workers.iter().flat_map(|workers| workers.backends()));
        let names = fixed
            .iter()
            .map(|backend| (backend.name().to_owned(), backend.address().clone()));
        refuse_twins(names)?;
        let same = previous.map(|previous| &previous.transport);
        let transport = match same.filter(|transport| transport.is_as(&config.transport())) {
            Some(transport) => Arc::clone(transport),
            None => Transport::new(config.transport())?,
        };
        let check = config.checks();
        let check = check.as_ref().map(|health| Arc::new(Check::new(health, &transport)));
        let inherited = previous.map(|previous| previous.roster.members().to_vec());
        let founders = Founders {
            fixed,
            providers: providers(config, previous),
            inherited: inherited.unwrap_or_default(),
            checked: check.is_some(),
        };
        let before = previous.and_then(|previous| previous.chooser.sticky());
        let sticky = config.sticky.as_ref().map(|sticky| Sticky::new(sticky, before));
        let chooser = Arc::new(Chooser::new(&config.select, sticky));
        let arranged = Arc::clone(&chooser);
        let roster = Roster::new(name, founders, move |members| arranged.arrange(members));
        let passive = PassiveHealth::new(&config.ejection, Arc::clone(&roster));
        let hedge = config.hedge.as_ref().map(Hedge::new);
        let queue = Queue::new(&config.queue, config.usual_patience());
        let dispatcher = Dispatcher::new(Arc::clone(&chooser), Arc::clone(&transport), passive, queue, hedge);
        Ok(Self {
            config: config.clone(),
            tasks: Tasks::new(
                Arc::clone(&roster),
                Arc::clone(&dispatcher),
                check,
                workers,
                config.timeouts.idle.get(),
            ),
            roster,
            chooser,
            dispatcher,
            transport,
        })
    }
}

fn written(config: &PoolConfig, previous: Option<&Parts>) -> Result<Vec<Arc<Backend>>, PoolProblem> {
    let mut backends = Vec::new();
    for written in &config.backends {
        for Found { config, address } in resolved(written)? {
            let before = previous.and_then(|previous| previous.roster.member(&config.name()));
            backends.push(Arc::new(Backend::new(&config, address, before.as_deref())));
        }
    }
    Ok(backends)
}

fn workers(config: &PoolConfig, previous: Option<&Parts>) -> Result<Option<Arc<Workers>>, PoolProblem> {
    let workers = match (&config.spawn, previous) {
        // The same workers go on: a reload is no reason to load their models again.
        (Some(spawn), Some(previous)) if previous.config.spawn.as_ref() == Some(spawn) => {
            previous.tasks.workers.clone()
        }
        (Some(spawn), _) => Some(Arc::new(Workers::bind(spawn)?)),
        (None, _) => None,
    };
    if let (Some(workers), Some(previous)) = (&workers, previous) {
        let overrides = operator::overrides(&previous.roster);
        for worker in workers.backends() {
            if let Some(commanded) = overrides.get(worker.name()) {
                commanded.apply(&worker);
            }
        }
    }
    Ok(workers)
}

fn providers(config: &PoolConfig, previous: Option<&Parts>) -> Vec<Arc<Provider>> {
    let provider = |config| {
        let known = previous.map(|previous| previous.roster.providers()).unwrap_or_default();
        let before = known.iter().find(|provider| provider.config() == config);
        Arc::new(Provider::new(config, before.map(Arc::as_ref)))
    };
    config.discover.iter().map(provider).collect()
}
