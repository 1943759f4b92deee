//! Where backends come from besides the list in the configuration: providers that are asked again and again while the
//! pool runs. What a provider said last holds until it says something else; that it fails, or names nobody, changes
//! nothing.

pub mod answer;
pub mod config;
pub mod dns;
pub mod file;
pub mod follow;
pub mod provider;

pub use self::config::DiscoverConfig;
pub use self::dns::DnsConfig;
pub use self::file::check as check_file;
pub use self::follow::ask_once;
