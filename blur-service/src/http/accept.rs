//! What a client wants to have: the picture, the report, or both (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, header};

/// What an answer to a picture is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Picture,
    Report,
    /// The report and then the picture, as `multipart/mixed`.
    Both,
}

impl Wanted {
    /// What the fields `Accept` like best; `usual` where they like nothing better, or nothing that there is.
    pub fn by(headers: &HeaderMap, usual: Self) -> Self {
        let accept: Vec<&str> = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        if accept.is_empty() {
            return usual;
        }
        let ranges: Vec<Range> = accept
            .iter()
            .flat_map(|value| value.split(','))
            .filter_map(Range::parse)
            .collect();
        let mut best = (usual, usual.liked(&ranges));
        for other in [Self::Picture, Self::Report, Self::Both] {
            let liked = other.liked(&ranges);
            if liked > best.1 {
                best = (other, liked);
            }
        }
        best.0
    }

    /// From 0 to 1000.
    fn liked(self, ranges: &[Range]) -> u16 {
        let (main, sub) = match self {
            // Of which kind it is going to be is not known yet.
            Self::Picture => ("image", None),
            Self::Report => ("application", Some("json")),
            Self::Both => ("multipart", Some("mixed")),
        };
        let fitting = ranges.iter().filter(|range| {
            range.main == "*" || range.main == main && (range.sub == "*" || sub.is_none_or(|sub| range.sub == sub))
        });
        let most_exact = fitting.max_by_key(|range| (range.main != "*", range.sub != "*", range.quality));
        most_exact.map_or(0, |range| range.quality)
    }
}

/// One entry of `Accept`.
struct Range {
    main: String,
    sub: String,
    /// In thousandths.
    quality: u16,
}

impl Range {
    fn parse(entry: &str) -> Option<Self> {
        let mut parts = entry.split(';').map(str::trim);
        let (main, sub) = parts.next()?.split_once('/')?;
        let quality = parts.find_map(|parameter| parameter.strip_prefix("q=")?.parse::<f32>().ok());
        Some(Self {
            main: main.to_ascii_lowercase(),
            sub: sub.to_ascii_lowercase(),
            quality: (quality.unwrap_or(1.0).clamp(0.0, 1.0) * 1000.0) as u16,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_best_liked_is_given_and_else_the_usual() {
        use Wanted::{Both, Picture, Report};
        for (accept, usual, given) in [
            ("*/*", Picture, Picture),
            ("*/*", Report, Report),
            ("application/json", Picture, Report),
            ("application/json, text/plain, */*", Picture, Picture),
            ("image/avif,image/webp,*/*;q=0.8", Picture, Picture),
            ("application/json;q=0.5, image/*;q=0.4", Picture, Report),
            ("multipart/mixed", Picture, Both),
            ("multipart/mixed, application/json;q=0.5", Report, Both),
            ("image/png", Report, Picture),
            ("text/html", Picture, Picture),
            ("image/*;q=0, */*", Picture, Report),
            ("nonsense", Report, Report),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(Wanted::by(&headers, usual), given, "{accept}");
        }
    }
}
