//! What a route's filters make of an answer's body.

use bytes::Bytes;

use crate::filter::{BodyChange, Transform};

/// In the order in which filters have asked for it.
#[derive(Default)]
pub struct BodyChanges {
    /// What is sent in the place of the body that there was.
    pub replaced: Option<Bytes>,
    transforms: Vec<Box<dyn Transform>>,
}

impl BodyChanges {
    pub fn add(&mut self, change: BodyChange) {
        match change {
            BodyChange::Replaced(bytes) => {
                self.transforms.clear();
                self.replaced = Some(bytes);
            }
            BodyChange::Through(mut transform) => match &mut self.replaced {
                Some(bytes) => *bytes = transform.next(bytes, true),
                None => self.transforms.push(transform),
            },
        }
    }

    /// Whether nobody knows the body's length before its end.
    pub fn transforms(&self) -> bool {
        !self.transforms.is_empty()
    }

    /// The next bytes as they are sent; `last` says that no others follow.
    pub fn apply(&mut self, bytes: Bytes, last: bool) -> Bytes {
        let through = |bytes: Bytes, transform: &mut Box<dyn Transform>| transform.next(&bytes, last);
        self.transforms.iter_mut().fold(bytes, through)
    }
}
