//! Nginx's `random two least_conn`: draws two different backends by weight and takes the less busy one. Several
//! proxies in front of the same backends do not fall into step with it, as they may with `least_conn`.

use std::sync::Arc;

use super::load::{Load, LoadConfig};
use super::select::{Algorithm, Candidates, Select};
use crate::pool::choose::key::Key;
use crate::pool::members::backend::Backend;
use crate::pool::random::Random;

pub struct RandomTwo {
    load: Load,
    random: Random,
}

impl RandomTwo {
    pub fn new(load: Load, random: Random) -> Self {
        Self { load, random }
    }

    /// Draws one of the candidates by weight, `except` left out.
    fn draw(&self, candidates: &Candidates<'_>, except: Option<usize>) -> Option<usize> {
        let shares = || {
            candidates
                .iter()
                .filter(move |(place, _)| Some(*place) != except)
                .map(|(place, backend)| (place, backend.share(candidates.now)))
        };
        let mut left = self.random.fraction() * shares().map(|(_, share)| share).sum::<f64>();
        let mut last = None;
        for (place, share) in shares() {
            last = Some(place);
            left -= share;
            if left < 0.0 {
                break;
            }
        }
        last
    }
}

impl Algorithm for RandomTwo {
    type Settings = LoadConfig;

    fn build(settings: &LoadConfig, _: &[Arc<Backend>]) -> Self {
        Self::new(settings.load, Random::default())
    }
}

impl Select for RandomTwo {
    fn pick(&self, _: &Key, candidates: &Candidates<'_>) -> Option<usize> {
        let first = self.draw(candidates, None)?;
        let Some(second) = self.draw(candidates, Some(first)) else {
            return Some(first);
        };
        let busy = |place: usize| self.load.per_share(&candidates.backends[place], candidates);
        Some(if busy(second) < busy(first) { second } else { first })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{hold, sequence, tier};
    use super::*;

    #[test]
    fn never_takes_the_busiest_of_three() {
        let tier = tier(&[1, 1, 1]);
        let _held = hold(&tier[1], 5);
        assert!(!sequence(&RandomTwo::new(Load::Requests, Random::seeded(1)), &tier, 200, |_| true).contains('b'));
    }

    #[test]
    fn draws_by_weight() {
        let tier = tier(&[1, 1, 8]);
        let heavy = sequence(&RandomTwo::new(Load::Requests, Random::seeded(2)), &tier, 1000, |_| {
            true
        })
        .matches('c')
        .count();
        assert!((750..1000).contains(&heavy), "{heavy}");
    }

    #[test]
    fn takes_the_only_one() {
        let tier = tier(&[1, 1]);
        assert_eq!(
            sequence(
                &RandomTwo::new(Load::Requests, Random::seeded(3)),
                &tier,
                3,
                |place| place == 1
            ),
            "bbb"
        );
    }
}
