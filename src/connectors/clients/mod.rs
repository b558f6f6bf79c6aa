//! One file per client app: where it keeps its store, what stands where in it, how to put a token back, and the
//! evidence for all of that.

mod bitlbee;
#[cfg(feature = "chromium")]
mod chromium;
pub mod dotenv;
#[cfg(feature = "sqlite")]
mod fedilab;
mod generic;
mod madonctl;
mod mastodon_android;
mod mastodon_archive;
mod mastodon_async;
mod mastodon_el;
mod mastodon_ios;
mod mastodon_py;
mod thedesk;
mod tokodon;
mod toot;
mod tootle;
mod tuba;
#[cfg(feature = "sqlite")]
mod tusky;
mod tut;
mod web;
mod whalebird;

pub use bitlbee::Bitlbee;
#[cfg(feature = "chromium")]
pub use chromium::Chromium;
pub use dotenv::Dotenv;
#[cfg(feature = "sqlite")]
pub use fedilab::Fedilab;
pub use generic::Generic;
pub use madonctl::Madonctl;
pub use mastodon_android::MastodonAndroid;
pub use mastodon_archive::MastodonArchive;
pub use mastodon_async::MastodonAsync;
pub use mastodon_el::MastodonEl;
pub use mastodon_ios::MastodonIos;
pub use mastodon_py::MastodonPy;
pub use thedesk::TheDesk;
pub use tokodon::Tokodon;
pub use toot::Toot;
pub use tootle::Tootle;
pub use tuba::Tuba;
#[cfg(feature = "sqlite")]
pub use tusky::Tusky;
pub use tut::Tut;
pub use web::Web;
pub use whalebird::Whalebird;
