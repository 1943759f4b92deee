//! The order of the work upon a scan: what stays, what is hidden, and where intervals begin and end.

use std::{iter::Peekable, slice::Iter};

use super::plan::Run;

/// One step; units count from 0, ends are exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Whole intervals in which nothing is hidden.
    Untouched {
        first: u32,
        end: u32,
    },
    /// An interval begins in which something is hidden.
    Begin {
        unit: u32,
    },
    /// Units of that interval that stay.
    Keep {
        first: u32,
        end: u32,
    },
    Hide(Run),
    /// The interval is over.
    End,
}

/// Iterates over the steps.
pub struct Steps<'a> {
    runs: Peekable<Iter<'a, Run>>,
    interval: u32,
    total: u32,
    /// The next unit.
    at: u32,
    /// Where the interval ends that is being worked on.
    inside: Option<u32>,
}

impl<'a> Steps<'a> {
    pub fn new(runs: &'a [Run], interval: u32, total: u32) -> Self {
        Self {
            runs: runs.iter().peekable(),
            interval,
            total,
            at: 0,
            inside: None,
        }
    }

    fn between_intervals(&mut self) -> Option<Step> {
        let first = self.at;
        if first == self.total {
            return None;
        }
        let hidden = self
            .runs
            .peek()
            .map(|run| run.first.max(first) / self.interval * self.interval);
        let end = hidden.unwrap_or(self.total);
        if end > first {
            self.at = end;
            return Some(Step::Untouched { first, end });
        }
        self.inside = Some(first.saturating_add(self.interval).min(self.total));
        Some(Step::Begin { unit: first })
    }

    fn inside_an_interval(&mut self, interval_end: u32) -> Step {
        let first = self.at;
        if first == interval_end {
            self.inside = None;
            return Step::End;
        }
        match self.runs.peek().copied().copied() {
            Some(run) if run.first <= first => {
                self.at = run.end.min(interval_end);
                self.runs.next_if(|run| run.end <= interval_end);
                Step::Hide(Run {
                    first,
                    end: self.at,
                    ..run
                })
            }
            run => {
                self.at = run.map_or(interval_end, |run| run.first.min(interval_end));
                Step::Keep { first, end: self.at }
            }
        }
    }
}

impl Iterator for Steps<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        match self.inside {
            None => self.between_intervals(),
            Some(interval_end) => Some(self.inside_an_interval(interval_end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_runs_everything_is_untouched() {
        assert_eq!(
            Steps::new(&[], 4, 10).collect::<Vec<_>>(),
            [Step::Untouched { first: 0, end: 10 }]
        );
    }

    #[test]
    fn a_run_over_the_end_of_an_interval_is_cut_there() {
        let run = |first, end| Run { first, end, area: 3 };
        let steps: Vec<Step> = Steps::new(&[run(5, 9)], 4, 14).collect();
        let expected = [
            Step::Untouched { first: 0, end: 4 },
            Step::Begin { unit: 4 },
            Step::Keep { first: 4, end: 5 },
            Step::Hide(run(5, 8)),
            Step::End,
            Step::Begin { unit: 8 },
            Step::Hide(run(8, 9)),
            Step::Keep { first: 9, end: 12 },
            Step::End,
            Step::Untouched { first: 12, end: 14 },
        ];
        assert_eq!(steps, expected);
    }
}
