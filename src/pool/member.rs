//! One proxy's membership in one pool: the proxy, and what the embedding program attaches to it.
//!
//! A member is shared by every table that has a slot for it, so a table is rebuilt by cloning `Arc`s. The attachment is
//! given back when the last of those tables is dropped, which no thread does while it holds a lock.

use std::ptr::NonNull;

use crate::proxy::Proxy;
use crate::sync::{Arc, AtomicPtr, Ordering, assert_no_lock_held};

/// A word that the embedding program attaches to a member; for Python, the object that stands for the proxy.
pub type Word = NonNull<()>;

/// What to do with a word that the pool no longer needs.
#[derive(Debug, Clone, Copy)]
pub struct AttachmentOps {
    /// Gives one reference back. Called with no lock held, on any thread.
    pub release: unsafe fn(Word),
}

fn nothing(_: Word) {}

impl Default for AttachmentOps {
    fn default() -> Self {
        Self { release: nothing }
    }
}

/// One reference to a word, given back when it is dropped.
#[derive(Debug)]
pub struct Attachment {
    word: Word,
    ops: AttachmentOps,
}

impl Attachment {
    /// Takes over the caller's reference to `word`.
    ///
    /// # Safety
    /// The caller owns one reference, and `ops.release` may give it back on any thread.
    #[must_use]
    pub unsafe fn new(word: Word, ops: AttachmentOps) -> Self {
        Self { word, ops }
    }

    /// The word itself.
    #[must_use]
    pub fn word(&self) -> Word {
        self.word
    }

    fn into_word(self) -> Word {
        std::mem::ManuallyDrop::new(self).word
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        assert_no_lock_held("an attachment is given back");
        // SAFETY: the reference that `new` took over.
        unsafe { (self.ops.release)(self.word) };
    }
}

// SAFETY: `Attachment::new` demands that the reference may be given back on any thread; nothing else is done with the word.
unsafe impl Send for Attachment {}

/// See the module.
#[derive(Debug)]
pub struct Member {
    proxy: Arc<Proxy>,
    // Set at most once; the reference is this member's.
    attached: AtomicPtr<()>,
    ops: AttachmentOps,
}

impl Member {
    pub(crate) fn new(proxy: Arc<Proxy>, attachment: Option<Attachment>, ops: AttachmentOps) -> Arc<Self> {
        let attached = attachment.map_or(std::ptr::null_mut(), |attachment| attachment.into_word().as_ptr());
        Arc::new(Self { proxy, attached: AtomicPtr::new(attached), ops })
    }

    /// The proxy.
    #[inline]
    #[must_use]
    pub fn proxy(&self) -> &Arc<Proxy> {
        &self.proxy
    }

    /// What is attached; the same word for as long as the member lives.
    #[inline]
    #[must_use]
    pub fn attached(&self) -> Option<Word> {
        // Acquire pairs with the release in `attach`: the word is seen with what it refers to.
        NonNull::new(self.attached.load(Ordering::Acquire))
    }

    /// Attaches a word unless another thread was first, and returns the word that is attached now. A reference that came too
    /// late is given back.
    pub fn attach(&self, attachment: Attachment) -> Word {
        let word = attachment.word();
        let null = std::ptr::null_mut();
        match self.attached.compare_exchange(null, word.as_ptr(), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => attachment.into_word(),
            Err(first) => NonNull::new(first).unwrap_or(word),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(word) = self.attached() {
            // SAFETY: the reference that `new` or `attach` took over.
            drop(unsafe { Attachment::new(word, self.ops) });
        }
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use crate::net::address::Address;
    use crate::proxy::health::Source;
    use crate::sync::model;
    use loom::thread;

    // Fails when `attach` looks first and stores afterwards.
    #[test]
    fn of_two_attachments_at_once_both_threads_get_one() {
        model(|| {
            let proxy = Arc::new(Proxy::new(&Address::parse("http://10.0.0.1:80").unwrap(), Source::User, 0));
            let member = Member::new(proxy, None, AttachmentOps::default());
            let attach = |member: &Member, word: usize| {
                let word = NonNull::new(std::ptr::without_provenance_mut(word)).unwrap();
                // SAFETY: the word refers to nothing and its release does nothing.
                member.attach(unsafe { Attachment::new(word, AttachmentOps::default()) })
            };
            let other = thread::spawn({
                let member = member.clone();
                move || attach(&member, 8).as_ptr() as usize
            });
            let mine = attach(&member, 16).as_ptr() as usize;
            let theirs = other.join().unwrap();
            assert_eq!(mine, theirs);
            assert_eq!(member.attached().map(|word| word.as_ptr() as usize), Some(mine));
        });
    }
}
