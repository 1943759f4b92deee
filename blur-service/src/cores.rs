//! The cores that work on pictures may use. Each picture has one; those that are idle may help with a single picture, so
//! that it is done sooner, and are given back as soon as another picture waits.

use std::{
    iter,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

pub struct Cores {
    /// Contended when pictures begin and end, and between their parts.
    count: Mutex<Count>,
    freed: Condvar,
}

struct Count {
    free: usize,
    /// Pictures without a core.
    waiting: usize,
}

/// The right to keep one core busy.
pub struct Core<'a>(&'a Cores);

impl Cores {
    pub fn new(count: usize) -> Self {
        Self {
            count: Mutex::new(Count {
                free: count,
                waiting: 0,
            }),
            freed: Condvar::new(),
        }
    }

    /// One for a picture, as soon as there is one.
    pub fn take(&self) -> Core<'_> {
        let mut count = self.count();
        count.waiting += 1;
        let mut count = self
            .freed
            .wait_while(count, |count| count.free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        count.waiting -= 1;
        count.free -= 1;
        Core(self)
    }

    /// What `work` makes of each of `items`, in their order; on this thread, which has a core, and on as many more as there
    /// are idle cores. `go_on` is asked before each item that this thread takes; nothing is made once it says false.
    pub fn each<T: Sync, R: Send>(
        &self,
        items: &[T],
        go_on: &dyn Fn() -> bool,
        work: impl Fn(&T) -> R + Sync,
    ) -> Option<Vec<R>> {
        let (next, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
        let do_next = || {
            let index = next.fetch_add(1, Ordering::Relaxed);
            Some((index, work(items.get(index)?)))
        };
        let help = |core: Core<'_>| {
            let ends = || stopped.load(Ordering::Relaxed) || self.is_wanted();
            let done = iter::from_fn(|| if ends() { None } else { do_next() }).collect::<Vec<_>>();
            drop(core);
            done
        };
        let mut done = thread::scope(|scope| {
            let idle = items.iter().skip(1).map_while(|_| self.take_idle());
            // Without a thread the work is done all the same.
            let helpers: Vec<_> = idle
                .map_while(|core| {
                    let help = &help;
                    thread::Builder::new().spawn_scoped(scope, move || help(core)).ok()
                })
                .collect();
            let mut done: Vec<_> = iter::from_fn(|| if go_on() { do_next() } else { None }).collect();
            stopped.store(true, Ordering::Relaxed);
            for helper in helpers {
                match helper.join() {
                    Ok(more) => done.extend(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            done
        });
        done.sort_unstable_by_key(|(index, _)| *index);
        // Whatever is missing was left because of `go_on`.
        (done.len() == items.len()).then(|| done.into_iter().map(|(_, made)| made).collect())
    }

    fn take_idle(&self) -> Option<Core<'_>> {
        let mut count = self.count();
        if count.free <= count.waiting {
            return None;
        }
        count.free -= 1;
        Some(Core(self))
    }

    fn is_wanted(&self) -> bool {
        self.count().waiting > 0
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Core<'_> {
    fn drop(&mut self) {
        self.0.count().free += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn idle_cores_help_and_what_is_made_keeps_its_order() {
        let cores = Cores::new(3);
        let core = cores.take();
        // Ends only when three threads are at work at once.
        let all = Barrier::new(3);
        let made = cores.each(&[10, 20, 30], &|| true, |item| {
            all.wait();
            item + 1
        });
        assert_eq!(made, Some(vec![11, 21, 31]));
        drop(core);
        assert_eq!(cores.count().free, 3);
    }

    #[test]
    fn without_idle_cores_one_thread_does_it_all() {
        let cores = Cores::new(1);
        let _core = cores.take();
        let here = thread::current().id();
        let made = cores.each(&[1, 2, 3], &|| true, |item| (*item, thread::current().id()));
        assert_eq!(made, Some(vec![(1, here), (2, here), (3, here)]));
        assert_eq!(cores.each(&[], &|| true, |item: &u8| *item), Some(vec![]));
    }

    #[test]
    fn a_picture_that_waits_gets_the_core_of_a_helper_before_its_next_piece() {
        let cores = Cores::new(2);
        let core = cores.take();
        let begun = Barrier::new(2);
        let pieces: Vec<usize> = (0..100).collect();
        let (taken, helped) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            let other = scope.spawn(|| {
                begun.wait();
                let _core = cores.take();
                taken.store(1, Ordering::SeqCst);
            });
            cores.each(&pieces, &|| true, |piece| {
                // The test's own thread has a name, a helper none.
                let is_helper = thread::current().name().is_none();
                let before = helped.fetch_add(usize::from(is_helper), Ordering::SeqCst);
                assert!(!is_helper || before == 0, "a helper began another piece");
                if *piece == 0 {
                    begun.wait();
                }
                // From here on somebody waits. A helper that had just made up its mind may begin any later piece.
                while *piece < 2 && cores.count().waiting == 0 && taken.load(Ordering::SeqCst) == 0 {
                    thread::yield_now();
                }
            });
            other.join().expect("the other picture got its core");
        });
        drop(core);
        assert_eq!(cores.count().free, 2);
    }

    #[test]
    fn nothing_is_made_once_it_is_not_wanted() {
        let asked = AtomicUsize::new(0);
        let go_on = || asked.fetch_add(1, Ordering::Relaxed) < 2;
        assert_eq!(Cores::new(0).each(&[1, 2, 3], &go_on, |item| *item), None);
    }

    #[test]
    fn a_panic_gives_the_cores_back() {
        let cores = Cores::new(2);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _core = cores.take();
            cores.each(&[1, 2], &|| true, |_| -> u8 { panic!("as a test") })
        }));
        assert!(panicked.is_err());
        assert_eq!(cores.count().free, 2);
    }
}
