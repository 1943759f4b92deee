//! The flags, each with an environment variable behind it, and the values they are made of.

use std::{
    fmt,
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    os::fd::AsFd,
    path::PathBuf,
    str::FromStr,
    thread,
    time::Duration,
};

use anyhow::Context;
use clap::ValueEnum;

use crate::{
    client::Trusted,
    codec::{Wanted, start_hevc},
    detect::{Detail, Sensitivity},
    keep::Fields,
    marks::Marks,
    options::{Leeway, Options, Profile, Search, Verify, parse_margin},
    redact::{Look, NoiseKey, Shape},
    sandbox::Sandbox,
};

/// Hides every face in the pictures it is sent.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where to listen: an address (port 0 takes any free one), or `stdin` for a listening socket that is already bound
    #[arg(long, env = "BLUR_LISTEN", default_value = "127.0.0.1:5000")]
    pub listen: Listen,

    /// Pictures worked on at a time, and threads that work on them: idle ones help with a single picture [default: the
    /// number of cores]
    #[arg(long, env = "BLUR_WORKERS")]
    workers: Option<NonZeroUsize>,

    /// Pictures that may wait besides; one more is answered 503
    #[arg(long, env = "BLUR_QUEUE", default_value_t = 16)]
    pub queue: usize,

    /// Largest request body
    #[arg(long, env = "BLUR_MAX_BYTES", default_value = "64MiB")]
    pub max_bytes: ByteSize,

    /// Most pixels of a picture that is decoded
    #[arg(long, env = "BLUR_MAX_PIXELS", default_value_t = 100_000_000)]
    pub max_pixels: u64,

    /// Most pixels of a JPEG of one scan, which is never decoded whole [default: two and a half times as many]
    #[arg(long, env = "BLUR_MAX_SPLICED_PIXELS")]
    max_spliced_pixels: Option<u64>,

    /// Most frames of an animation, or pages of a file
    #[arg(long, env = "BLUR_MAX_FRAMES", default_value_t = 500)]
    pub max_frames: u32,

    /// Most pixels of all frames of an animation together
    #[arg(long, env = "BLUR_MAX_FRAME_PIXELS", default_value_t = 400_000_000)]
    pub max_frame_pixels: u64,

    /// Memory for all pictures together, as files (a quarter) and decoded (the rest)
    #[arg(long, env = "BLUR_MAX_MEMORY", default_value = "2GiB")]
    pub max_memory: ByteSize,

    #[command(flatten)]
    pub picture: PictureArgs,

    /// Let clients choose what hides less: lower detail and sensitivity, a smaller margin, the
    /// lossless profile, no second look
    #[arg(long, env = "BLUR_ALLOW_CLIENT_OPTIONS")]
    allow_client_options: bool,

    /// Let clients spare faces that are found (exclude), or have none looked for (detect=off)
    #[arg(long, env = "BLUR_ALLOW_EXCLUDE")]
    allow_exclude: bool,

    /// What clients may ask to be kept besides, as in --keep
    #[arg(
        long,
        env = "BLUR_ALLOW_KEEP",
        default_value = "",
        hide_default_value = true,
        value_name = "FIELDS"
    )]
    allow_keep: Fields,

    /// The closest search that clients may choose, where the operator's own is not closer [default: any]
    #[arg(long, env = "BLUR_MAX_DETAIL", value_enum)]
    max_detail: Option<Detail>,

    /// The closest second look that clients may choose, where the operator's own is not closer [default: any]
    #[arg(long, env = "BLUR_MAX_VERIFY", value_enum)]
    max_verify: Option<Verify>,

    /// Peers, as addresses and networks with commas between them, whose X-Forwarded-For says for whom they ask: nobody's
    /// pictures hold more than their share of places while others wait
    #[arg(long, env = "BLUR_TRUSTED_PROXIES", default_value = "127.0.0.0/8,::1")]
    pub trusted_proxies: Trusted,

    /// Longest time from a request's head to its answer
    #[arg(long, env = "BLUR_DEADLINE", default_value = "60s")]
    pub deadline: Seconds,

    /// Longest time for a request's head, and then for its body, to arrive
    #[arg(long, env = "BLUR_BODY_TIMEOUT", default_value = "30s")]
    pub body_timeout: Seconds,

    /// Longest time to finish what is in flight after a signal to stop
    #[arg(long, env = "BLUR_DRAIN_TIMEOUT", default_value = "30s")]
    pub drain_timeout: Seconds,

    /// Most connections at a time; further ones wait
    #[arg(long, env = "BLUR_MAX_CONNECTIONS", default_value_t = 1024)]
    pub max_connections: usize,

    /// How log lines look
    #[arg(long, env = "BLUR_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// Shut the process in before the first picture, by Landlock and seccomp: it then opens no file and no connection, and
    /// starts no program. Where the kernel has not all of it: end, or say so and go on
    #[arg(long, env = "BLUR_SANDBOX", value_enum, default_value_t = Sandbox::Try)]
    pub sandbox: Sandbox,

    /// End when the parent process ends, however it ends
    #[arg(long, env = "BLUR_DIE_WITH_PARENT")]
    pub die_with_parent: bool,
}

impl Args {
    pub fn workers(&self) -> usize {
        self.workers
            .or_else(|| thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get)
    }

    pub fn max_spliced_pixels(&self) -> u64 {
        self.max_spliced_pixels.unwrap_or(self.max_pixels.saturating_mul(5) / 2)
    }

    /// Asks the system what can be asked no more once the process has shut itself in.
    pub fn settle(&mut self) {
        self.workers = NonZeroUsize::new(self.workers());
    }

    /// What clients may choose beside what hides more.
    pub fn leeway(&self) -> Leeway {
        Leeway {
            weaker: self.allow_client_options,
            exclude: self.allow_exclude,
            most_detail: self.max_detail,
            most_verify: self.max_verify,
            keep: self.allow_keep.clone(),
        }
    }
}

/// How pictures are hidden: what the service and the command for files have in common.
#[derive(Clone, Debug, clap::Args)]
pub struct PictureArgs {
    /// How closely to look for faces
    #[arg(long, env = "BLUR_DETAIL", value_enum, default_value_t = Detail::Thorough)]
    pub detail: Detail,

    /// How readily a doubtful spot is taken for a face
    #[arg(long, env = "BLUR_SENSITIVITY", value_enum, default_value_t = Sensitivity::Normal)]
    pub sensitivity: Sensitivity,

    /// How a hidden face looks
    #[arg(long, env = "BLUR_EFFECT", value_enum, default_value_t = Look::Smooth)]
    pub effect: Look,

    /// How a hidden face looks in an animation, whose frames tell more together than each of them
    #[arg(long, env = "BLUR_ANIMATION_EFFECT", value_enum, default_value_t = Look::Solid)]
    pub animation_effect: Look,

    /// Where in a hidden region the looks smooth and gaussian show their cells
    #[arg(long, env = "BLUR_SHAPE", value_enum, default_value_t = Shape::Box)]
    pub shape: Shape,

    /// Whether a JPEG keeps its other blocks exactly, or is written anew, which drops its camera's fingerprint
    #[arg(long, env = "BLUR_PROFILE", value_enum, default_value_t = Profile::Lossless)]
    pub profile: Profile,

    /// How many times wider and higher than the face the hidden region is, from 1 to 4, rounded up to the next step
    #[arg(long, env = "BLUR_MARGIN", default_value = "1.3", value_parser = parse_margin)]
    pub margin: f32,

    /// What is looked at again once the faces are hidden [default: off for fast, else regions]
    #[arg(long, env = "BLUR_VERIFY", value_enum)]
    pub verify: Option<Verify>,

    /// What the file says in words and is written anew, of copyright, creator, credit, caption, headline and gps, with commas
    /// between them [default: nothing]
    #[arg(
        long,
        env = "BLUR_KEEP",
        default_value = "",
        hide_default_value = true,
        value_name = "FIELDS"
    )]
    keep: Fields,

    /// Secret, of at least 32 characters, from which the noise upon hidden faces is made: workers that share it answer alike
    /// [default: a new one for each process]
    #[arg(long, env = "BLUR_NOISE_KEY", hide_env_values = true)]
    noise_key: Option<NoiseKey>,

    /// The program that decodes HEIC, or `off` [default: veil-heic beside this program or in ../libexec/veil, if it is there]
    #[arg(long, env = "BLUR_HEIC_DECODER", value_name = "PROGRAM")]
    pub heic_decoder: Option<PathBuf>,

    /// Read the models from this folder and not from the program
    #[arg(long, env = "BLUR_MODEL_DIR")]
    pub model_dir: Option<PathBuf>,
}

impl PictureArgs {
    /// The one that was chosen, or a new one.
    ///
    /// # Errors
    /// The system's, when it has no random numbers.
    pub fn noise_key(&self) -> std::io::Result<NoiseKey> {
        self.noise_key.clone().map_or_else(|| Ok(NoiseKey::random()?), Ok)
    }

    /// Starts what decodes HEIC, while programs may be started; whether there is one.
    ///
    /// # Errors
    /// The system's, if it does not get ready.
    pub fn start_heic(&self) -> anyhow::Result<bool> {
        match self.heic_decoder.as_deref() {
            Some(off) if off == "off" => Ok(false),
            named => start_hevc(named).context("cannot start the decoder of HEIC"),
        }
    }

    pub fn options(&self) -> Options {
        Options {
            detect: Search::On,
            detail: self.detail,
            sensitivity: self.sensitivity,
            effect: self.effect,
            animation_effect: self.animation_effect,
            format: Wanted::Keep,
            quality: None,
            shape: self.shape,
            profile: self.profile,
            margin: self.margin,
            verify: self.verify,
            marks: Marks::NONE,
            keep: self.keep.clone(),
            report: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    Address(SocketAddr),
    /// A socket that is bound and listens already, handed over as standard input: no port is raced for, and the address
    /// outlives a restart.
    Stdin,
}

impl Listen {
    /// # Errors
    /// The system's, with the address.
    pub fn bind(self) -> anyhow::Result<TcpListener> {
        let listener = match self {
            Self::Address(address) => {
                TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?
            }
            Self::Stdin => {
                let socket = std::io::stdin().as_fd().try_clone_to_owned();
                TcpListener::from(socket.context("cannot take over standard input")?)
            }
        };
        listener
            .local_addr()
            .with_context(|| format!("{self} is not a listening TCP socket"))?;
        listener
            .set_nonblocking(true)
            .with_context(|| format!("cannot listen on {self}"))?;
        Ok(listener)
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "stdin" | "fd:0" => Ok(Self::Stdin),
            address => address
                .parse()
                .map(Self::Address)
                .map_err(|_| "expected an address like 127.0.0.1:5000, or stdin".into()),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(formatter),
            Self::Stdin => formatter.write_str("standard input"),
        }
    }
}

/// A number of bytes: `32MiB`, `500k`, `1048576`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = text.parse().ok().or_else(|| quantity::bytes(text));
        bytes
            .map(Self)
            .ok_or_else(|| "expected a size like 32MiB, 500k or 1048576".to_owned())
    }
}

/// A stretch of time: `60s`, `800ms`, `2m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = quantity::time(text).ok_or_else(|| "expected a time like 60s, 800ms or 1m30s".to_owned())?;
        (time <= A_DAY)
            .then_some(Self(time))
            .ok_or_else(|| "longer than a day".to_owned())
    }
}

const A_DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!("32MiB".parse(), Ok(ByteSize(32 << 20)));
        assert_eq!("500k".parse(), Ok(ByteSize(500 << 10)));
        assert_eq!("7".parse(), Ok(ByteSize(7)));
        assert!("32 pounds".parse::<ByteSize>().is_err());
        assert_eq!("800ms".parse(), Ok(Seconds(Duration::from_millis(800))));
        assert!("60".parse::<Seconds>().is_err());
        assert!("9999999999m".parse::<Seconds>().is_err());
    }

    #[test]
    fn standard_input_is_a_place_to_listen() {
        assert_eq!("stdin".parse(), Ok(Listen::Stdin));
        assert_eq!("fd:0".parse(), Ok(Listen::Stdin));
        assert!("localhost".parse::<Listen>().is_err());
    }
}
