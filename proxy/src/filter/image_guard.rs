//! Lets only pictures through that are what they say, and no larger than allowed: by their first bytes and the size in their
//! head, before a worker sees them.

use std::sync::Arc;

use http::{StatusCode, header};
use imagesize::ImageType;
use pingora::http::RequestHeader;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Filter, FilterError, Settings, Workshop};
use crate::request::RequestCtx;
use crate::request::problem::Problem;

/// `image_guard: { formats: [jpeg, png, webp], max_pixels: 100000000 }`: for bodies that are a picture, and for the first file
/// of a form (`multipart/form-data`). What has no body passes.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ImageGuard {
    #[serde(default = "all")]
    formats: Vec<Format>,
    /// Width by height.
    #[serde(default = "a_hundred_million")]
    max_pixels: u64,
    /// The longer side.
    #[serde(default = "sixty_five_thousand")]
    max_side_px: u32,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Format {
    Jpeg,
    Png,
    Webp,
    Gif,
}

fn all() -> Vec<Format> {
    vec![Format::Jpeg, Format::Png, Format::Webp]
}

fn a_hundred_million() -> u64 {
    100_000_000
}

fn sixty_five_thousand() -> u32 {
    65_535
}

impl Settings for ImageGuard {
    fn build(&self, _: &Workshop<'_>) -> Result<Arc<dyn Filter>, FilterError> {
        Ok(Arc::new(self.clone()))
    }

    fn needs_whole_body(&self) -> bool {
        true
    }
}

impl Filter for ImageGuard {
    fn on_body(&self, body: &[u8], request: &RequestHeader, _: &RequestCtx) -> Result<(), Problem> {
        if body.is_empty() {
            return Ok(());
        }
        let media_type = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_form = media_type.is_some_and(|text| text.trim_start().to_ascii_lowercase().starts_with("multipart/form-data"));
        let picture = match is_form {
            true => first_file(body).ok_or(NOT_A_PICTURE)?,
            false => body,
        };
        self.check(picture)
    }
}

impl ImageGuard {
    fn check(&self, picture: &[u8]) -> Result<(), Problem> {
        let format = imagesize::image_type(picture).ok().and_then(|kind| match kind {
            ImageType::Jpeg => Some(Format::Jpeg),
            ImageType::Png => Some(Format::Png),
            ImageType::Webp => Some(Format::Webp),
            ImageType::Gif => Some(Format::Gif),
            _ => None,
        });
        if !format.is_some_and(|format| self.formats.contains(&format)) {
            return Err(NOT_A_PICTURE);
        }
        let size = imagesize::blob_size(picture).map_err(|_| NOT_A_PICTURE)?;
        let (width, height) = (size.width as u64, size.height as u64);
        match width.saturating_mul(height) > self.max_pixels || width.max(height) > self.max_side_px.into() {
            true => Err(TOO_MANY_PIXELS),
            false => Ok(()),
        }
    }
}

/// The content of a form's first part that has a file's name (RFC 7578): whatever follows its head.
fn first_file(body: &[u8]) -> Option<&[u8]> {
    let line_end = body.windows(2).position(|pair| pair == b"\r\n")?;
    let boundary = &body[..line_end];
    let mut rest = body;
    while let Some(start) = find(rest, boundary) {
        let part = rest.get(start + boundary.len() + 2..)?;
        let head_end = find(part, b"\r\n\r\n")?;
        let (head, content) = (&part[..head_end], part.get(head_end + 4..)?);
        if find(&head.to_ascii_lowercase(), b"filename").is_some() {
            let end = find(content, &[b"\r\n", boundary].concat()).unwrap_or(content.len());
            return Some(&content[..end]);
        }
        rest = content;
    }
    None
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return None;
    }
    text.windows(part.len()).position(|window| window == part)
}

const NOT_A_PICTURE: Problem = Problem::new(
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "not_a_picture",
    "the body is not a picture of a kind that is taken here",
);

const TOO_MANY_PIXELS: Problem = Problem::new(
    StatusCode::PAYLOAD_TOO_LARGE,
    "too_many_pixels",
    "the picture has more pixels than are taken here",
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::filter::testing::{ctx, filter, request};

    /// A PNG's signature and IHDR.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let head = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR";
        [&head[..], &width.to_be_bytes(), &height.to_be_bytes(), b"\x08\x02\0\0\0"].concat()
    }

    fn said(yaml: &str, media_type: &str, body: &[u8]) -> &'static str {
        let request = request("POST", "/", &[("content-type", media_type)]);
        let guard: ImageGuard = filter(yaml);
        guard.on_body(body, &request, &ctx("192.0.2.1")).err().map_or("good", |problem| problem.code)
    }

    #[test]
    fn refuses_bombs_and_what_is_no_picture() {
        let is = |body: &[u8]| said("{ max_pixels: 1000000 }", "image/png", body);
        assert_eq!(is(&png(1000, 1000)), "good");
        assert_eq!(is(&png(1001, 1000)), "too_many_pixels");
        assert_eq!(is(&png(u32::MAX, u32::MAX)), "too_many_pixels");
        assert_eq!(is(b"just text, renamed"), "not_a_picture");
        assert_eq!(is(b"\x89PNG\r\n\x1a\n"), "not_a_picture");
        assert_eq!(is(b"GIF89a\x01\0\x01\0"), "not_a_picture");
        assert_eq!(is(b""), "good");
        assert_eq!(said("{ formats: [gif] }", "image/gif", b"GIF89a\x01\0\x01\0\0\0\0"), "good");
        assert_eq!(said("{ max_side_px: 900 }", "image/png", &png(1000, 10)), "too_many_pixels");
    }

    #[test]
    fn finds_the_file_in_a_form() {
        let form = |file: &[u8]| {
            let before = b"--x\r\nContent-Disposition: form-data; name=\"effect\"\r\n\r\nsolid\r\n--x\r\n\
                Content-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n";
            [&before[..], file, b"\r\n--x--\r\n"].concat()
        };
        let is = |body: &[u8]| said("{ max_pixels: 1000000 }", "multipart/form-data; boundary=x", body);
        assert_eq!(is(&form(&png(10, 10))), "good");
        assert_eq!(is(&form(&png(10_000, 10_000))), "too_many_pixels");
        assert_eq!(is(&form(b"text")), "not_a_picture");
        assert_eq!(is(b"--x--\r\n"), "not_a_picture");
    }
}
