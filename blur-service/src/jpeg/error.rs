//! What may be wrong with a JPEG, or lie outside of what is spliced.

use crate::error::Error;

/// Why a file was not spliced.
#[derive(Debug, thiserror::Error)]
pub enum JpegError {
    #[error("it is no JPEG file")]
    NotJpeg,
    #[error("the file ends inside {what}, at byte {at}")]
    Truncated { at: usize, what: &'static str },
    #[error("{what}, at byte {at}")]
    Corrupt { at: usize, what: &'static str },
    #[error("it has {found} {what}, more than the {limit} allowed")]
    TooLarge { what: &'static str, found: u64, limit: u64 },
    /// A sound JPEG that the splice does not handle: the pixels' road is left.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    #[error("the work was given up")]
    Stopped,
    /// The result is not what was promised; it must not leave the process.
    #[error("the result does not keep its promise: {0}")]
    Unproven(&'static str),
}

/// What kind of JPEG goes another road.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    #[error("a progressive JPEG")]
    Progressive,
    #[error("an arithmetic-coded JPEG")]
    Arithmetic,
    #[error("a lossless (predictive) JPEG")]
    Lossless,
    #[error("a hierarchical JPEG")]
    Hierarchical,
    #[error("a JPEG of {0} bits a sample")]
    Precision(u8),
    #[error("a JPEG of {0} components")]
    Components(u8),
    #[error("a JPEG whose components lie in several scans")]
    MultipleScans,
    #[error("a JPEG whose height stands behind its scan")]
    LateHeight,
    #[error("a JPEG that codes a part of the spectrum only")]
    SpectralSelection,
    #[error("a JPEG whose quantisation changes between its scans")]
    LateTables,
    #[error("a JPEG whose units would have {0} blocks in one scan")]
    LargeUnits(usize),
}

impl Unsupported {
    /// Whether [`crate::jpeg::Jpeg::in_one_scan`] may make a file of it that the splice handles.
    pub fn may_be_recoded(self) -> bool {
        matches!(self, Self::Progressive | Self::Arithmetic | Self::MultipleScans)
    }

    /// What is told of a file that no road takes.
    fn refusal(self) -> &'static str {
        match self {
            Self::Lossless | Self::Hierarchical => "lossless and hierarchical JPEG are not supported",
            Self::Precision(_) => "JPEG with other than 8 or 12 bits a sample is not supported",
            Self::Components(_) => "JPEG with other than 1, 3 or 4 components is not supported",
            Self::LateHeight => "JPEG whose height stands behind its picture is not supported",
            Self::LateTables => "JPEG whose quantisation changes between its scans is not supported",
            Self::LargeUnits(_) => "JPEG with more than ten blocks a unit is not supported",
            Self::SpectralSelection | Self::Progressive | Self::Arithmetic | Self::MultipleScans => {
                "JPEG of this kind of coding is not supported"
            }
        }
    }
}

impl From<JpegError> for Error {
    fn from(error: JpegError) -> Self {
        match error {
            JpegError::Stopped => Self::Stopped,
            JpegError::Unproven(what) => Self::ProofFailed(what.to_owned()),
            JpegError::TooLarge { what, found, limit } => Self::TooMany { what, found, limit },
            JpegError::Unsupported(kind) => Self::UnsupportedFormat(kind.refusal()),
            JpegError::NotJpeg | JpegError::Truncated { .. } | JpegError::Corrupt { .. } => {
                Self::BrokenPicture(error.to_string())
            }
        }
    }
}
