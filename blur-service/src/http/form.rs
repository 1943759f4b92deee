//! A multipart form: pictures, and options as fields beside them or as members of a JSON part.

use crate::{error::Error, options::members};
use axum::{
    body::Bytes,
    extract::{FromRequest, Multipart, Request, multipart::Field, multipart::MultipartError},
    http::{HeaderMap, StatusCode, header},
};

/// Names and values, as a query has them.
pub(super) type Pairs = Vec<(String, String)>;

pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media_type.is_some_and(|value| value.to_ascii_lowercase().starts_with("multipart/form-data"))
}

/// Where the pictures of a form go.
pub(super) trait Pictures {
    /// A picture begins, which the client calls so.
    ///
    /// # Errors
    /// Where it is one too many.
    fn begin(&mut self, name: Option<&str>) -> Result<(), Error>;

    /// A piece of the picture that has begun.
    ///
    /// # Errors
    /// Any limit's.
    fn add(&mut self, data: &Bytes) -> Result<(), Error>;
}

/// Gives the pictures to `into`, piece by piece, and returns the options.
///
/// # Errors
/// Those of `into`; [`Error::BadRequest`] for a form that cannot be read or has no picture; [`Error::TooManyBytes`].
pub(super) async fn read(request: Request, limit: u64, into: &mut impl Pictures) -> Result<Pairs, Error> {
    let broken = |error: MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Error::TooManyBytes { limit },
        _ => Error::BadRequest(format!("the multipart body cannot be read: {}", error.body_text())),
    };
    let mut parts = Multipart::from_request(request, &())
        .await
        .map_err(|rejection| Error::BadRequest(rejection.body_text()))?;
    let mut pairs = Pairs::new();
    let mut has_picture = false;
    while let Some(mut part) = parts.next_field().await.map_err(broken)? {
        let name = part.name().unwrap_or_default().to_owned();
        if PICTURE_FIELDS.contains(&name.as_str()) {
            has_picture = true;
            into.begin(part.file_name())?;
            while let Some(data) = part.chunk().await.map_err(broken)? {
                into.add(&data)?;
            }
        } else if name == OPTIONS_FIELD {
            pairs.extend(members(&text(part, broken).await?)?);
        } else {
            if part.file_name().is_some() {
                return Err(no_picture());
            }
            pairs.push((name, text(part, broken).await?));
        }
        if pairs.len() > MOST_OPTIONS {
            return Err(Error::BadRequest("the multipart body has too many fields".into()));
        }
    }
    match has_picture {
        true => Ok(pairs),
        false => Err(no_picture()),
    }
}

async fn text(mut part: Field<'_>, broken: impl Fn(MultipartError) -> Error) -> Result<String, Error> {
    let mut bytes = Vec::new();
    while let Some(data) = part.chunk().await.map_err(&broken)? {
        bytes.extend_from_slice(&data);
        if bytes.len() > MOST_TEXT {
            let why = format!("a field of the multipart body that is no picture is longer than {MOST_TEXT} bytes");
            return Err(Error::BadRequest(why));
        }
    }
    String::from_utf8(bytes).map_err(|_| Error::BadRequest("a field of the multipart body is not text in UTF-8".into()))
}

fn no_picture() -> Error {
    let [field, ..] = PICTURE_FIELDS;
    Error::BadRequest(format!(
        "the multipart body must have one picture, as `curl -F {field}=@photo.jpg` sends it, in a field named {}",
        PICTURE_FIELDS.map(|name| format!("`{name}`")).join(" or ")
    ))
}

/// The fields that may hold the picture.
pub(super) const PICTURE_FIELDS: [&str; 3] = ["image", "picture", "file"];
/// The part whose JSON object has options as members.
pub(super) const OPTIONS_FIELD: &str = "options";
/// More than there are options, each once.
const MOST_OPTIONS: usize = 64;
const MOST_TEXT: usize = 32 << 10;
