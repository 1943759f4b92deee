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
    /// The weights laid end to end: where each backend's stretch of them ends.
    ends: Vec<u64>,
}

impl RandomTwo {
    pub fn new(load: Load, random: Random, tier: &[Arc<Backend>]) -> Self {
        let lay = |end: &mut u64, backend: &Arc<Backend>| {
            *end += u64::from(backend.weight());
            Some(*end)
        };
        Self {
            load,
            random,
            ends: tier.iter().scan(0, lay).collect(),
        }
    }

    /// Draws one of the candidates by weight, `except` left out.
    fn draw(&self, candidates: &Candidates<'_>, except: Option<usize>) -> Option<usize> {
        (0..DRAWS)
            .find_map(|_| self.draw_of_tier(candidates).filter(|place| Some(*place) != except))
            .or_else(|| self.draw_of_offered(candidates, except))
    }

    /// Draws one by its whole weight, and takes it as often as its share is of that: none if it is not offered, or its
    /// share is less. Drawn until there is one, each comes as often as if its share had been drawn by.
    fn draw_of_tier(&self, candidates: &Candidates<'_>) -> Option<usize> {
        let drawn = self.random.fraction() * *self.ends.last()? as f64;
        let place = self.ends.partition_point(|end| *end as f64 <= drawn);
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        let share = candidates
            .offers(place)
            .then(|| candidates.backends[place].share(candidates.now))?;
        (drawn < start as f64 + share).then_some(place)
    }

    fn draw_of_offered(&self, candidates: &Candidates<'_>, except: Option<usize>) -> Option<usize> {
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

/// Beyond, so few are offered, or so slowly started, that those are gone through.
const DRAWS: usize = 16;

impl Algorithm for RandomTwo {
    type Settings = LoadConfig;

    fn build(settings: &LoadConfig, tier: &[Arc<Backend>]) -> Self {
        Self::new(settings.load, Random::default(), tier)
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
    use super::super::fixture::{hold, pick_all, sequence, tier};
    use super::*;

    #[test]
    fn never_takes_the_busiest_of_three() {
        let tier = tier(&[1, 1, 1]);
        let _held = hold(&tier[1], 5);
        assert!(
            !sequence(
                &RandomTwo::new(Load::Requests, Random::seeded(1), &tier),
                &tier,
                200,
                |_| true
            )
            .contains('b')
        );
    }

    #[test]
    fn draws_by_weight() {
        let tier = tier(&[1, 1, 8]);
        let heavy = sequence(
            &RandomTwo::new(Load::Requests, Random::seeded(2), &tier),
            &tier,
            1000,
            |_| true,
        )
        .matches('c')
        .count();
        assert!((750..1000).contains(&heavy), "{heavy}");
    }

    #[test]
    fn draws_by_what_each_is_worth_now() {
        let tier = tier(&[8, 1]);
        let select = RandomTwo::new(Load::Requests, Random::seeded(4), &tier);
        tier[0].set_weight(1);
        let first = sequence(&select, &tier, 1000, |_| true).matches('a').count();
        assert!((400..600).contains(&first), "{first}");
    }

    #[test]
    fn one_of_very_many_is_found() {
        let many = tier(&[1; 1000]);
        let select = RandomTwo::new(Load::Requests, Random::seeded(5), &many);
        assert!(
            pick_all(&select, &many, 0, |place| place == 700)
                .iter()
                .all(|place| *place == Some(700))
        );
        assert!(pick_all(&select, &many, 0, |_| false).iter().all(Option::is_none));
    }

    #[test]
    fn takes_the_only_one() {
        let tier = tier(&[1, 1]);
        assert_eq!(
            sequence(
                &RandomTwo::new(Load::Requests, Random::seeded(3), &tier),
                &tier,
                3,
                |place| place == 1
            ),
            "bbb"
        );
    }
}
