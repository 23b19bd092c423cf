//! Saving and loading pools: the long work of `_pool_file.py`, done detached from the interpreter.

mod dump;
mod image;
mod seals;
mod source;

pub(crate) use dump::{SaveExtras, SaveMarks, dump_proxies, records_of};
pub(crate) use image::PoolImage;
pub(crate) use seals::{SealedTexts, UnsealedText, proxy_seal_binding, seal_binding};
pub(crate) use source::{has_credentials, proxies_with_extras};
