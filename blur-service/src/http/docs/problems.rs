//! Every code of a problem that a client meets, of this service and of the proxy in front of it: what it means, and what to do.

pub(super) struct Problem {
    pub code: &'static str,
    status: u16,
    title: &'static str,
    /// Text in which what is between backticks is code.
    means: &'static str,
    remedy: &'static str,
}

impl Problem {
    /// A line of the table of all.
    pub fn row(&self) -> String {
        let Self { code, status, .. } = self;
        let (means, remedy) = (marked(self.means), marked(self.remedy));
        format!(
            "<tr id=\"{code}\"><td>{status}</td><td><code>{code}</code></td><td>{means}</td><td>{remedy}</td></tr>\n"
        )
    }

    /// The page that the problem's type leads to.
    pub fn page(&self) -> String {
        include_str!("problem.html")
            .replace("{title}", self.title)
            .replace("{status}", &self.status.to_string())
            .replace("{code}", self.code)
            .replace("{means}", &marked(self.means))
            .replace("{remedy}", &marked(self.remedy))
    }
}

fn marked(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(index, part)| match index % 2 {
            0 => part.to_owned(),
            _ => format!("<code>{part}</code>"),
        })
        .collect()
}

const fn problem(
    status: u16,
    code: &'static str,
    title: &'static str,
    means: &'static str,
    remedy: &'static str,
) -> Problem {
    Problem {
        code,
        status,
        title,
        means,
        remedy,
    }
}

/// By status.
#[rustfmt::skip]
pub(super) const PROBLEMS: &[Problem] = &[
    problem(400, "bad_request", "Bad request",
        "The request cannot be understood: its head, its query, its form, or a body that broke off.",
        "The detail says where. Send the picture as the body, or as a form's field `image`."),
    problem(400, "bad_path", "Ambiguous path",
        "The request's path can be read in more than one way.",
        "Leave out what is encoded without need, empty parts and dots."),
    problem(400, "unknown_option", "Unknown option",
        "There is no option of this name.",
        "The detail names the nearest one."),
    problem(400, "repeated_option", "Repeated option",
        "An option is given more than once, in the query and the form together.",
        "Give it once."),
    problem(400, "invalid_option", "Invalid option",
        "The option cannot have this value.",
        "The detail says which it can have."),
    problem(400, "mark_outside", "Mark outside of the picture",
        "A region, or a face to spare, is not in the picture.",
        "Give boxes in pixels of the upright picture, as `/v1/detect` does."),
    problem(400, "idempotency_key", "Idempotency-Key not known",
        "Nothing is kept here by which a key could be known again.",
        "Leave it off: a picture may be sent again without harm."),
    problem(401, "unauthorized", "Unauthorized",
        "The proxy asks for credentials, or does not know these.",
        "Send the ones that its operator gave you; WWW-Authenticate says of which kind."),
    problem(403, "forbidden", "Forbidden",
        "The proxy does not serve this address.",
        "Ask its operator."),
    problem(403, "refused", "Refused",
        "A rule that the proxy's operator wrote refuses the request.",
        "The detail says why, where the rule does."),
    problem(403, "option_not_allowed", "Option not allowed",
        "The option would hide less than this service is set to.",
        "Leave it off, or ask the operator for the flag that the detail names."),
    problem(403, "option_too_dear", "Option too dear",
        "The option makes more work than this service allows.",
        "The detail says how much it allows."),
    problem(403, "keep_not_allowed", "Keeping not allowed",
        "This service does not keep this of a file.",
        "Leave it off, or ask the operator for `--allow-keep`."),
    problem(404, "not_found", "Not found",
        "There is nothing at this path.",
        "The paths are in the reference."),
    problem(404, "no_route", "No route",
        "The proxy serves nothing at this path.",
        "The paths are in the reference; the proxy's operator decides which of them it serves."),
    problem(404, "no_file", "No file",
        "The proxy has no such file here.",
        "Look for a mistake in the path."),
    problem(405, "method_not_allowed", "Method not allowed",
        "This path is not asked in this way.",
        "The header Allow says in which."),
    problem(408, "body_timeout", "Request body too slow",
        "The body did not arrive in time.",
        "Send it again, over a faster connection."),
    problem(408, "request_timeout", "Request timeout",
        "The request did not arrive at the proxy in time.",
        "Send it again, over a faster connection."),
    problem(413, "too_many_bytes", "Too many bytes",
        "The file is larger than this service takes.",
        "`limit` says how many bytes it takes."),
    problem(413, "body_too_large", "Body too large",
        "The body is larger than the proxy lets pass.",
        "`limit` says how many bytes it lets pass."),
    problem(413, "too_many_pixels", "Too many pixels",
        "The picture has more pixels than are taken here.",
        "`limit` says how many are taken. A JPEG of one scan may have more."),
    problem(413, "too_compressed", "Unfolds to too much",
        "The picture unfolds to far more than its file holds, as only made ones do.",
        "Save it again."),
    problem(413, "too_much_memory", "Picture too large to work on",
        "There will never be enough memory here for this picture.",
        "Send a smaller one, or a JPEG of one scan."),
    problem(413, "too_many_parts", "Too many parts",
        "There are too many frames, pages, regions or pictures.",
        "The detail says how many of what are taken."),
    problem(415, "unsupported_format", "Unsupported format",
        "This kind of file is not read.",
        "The detail names it. JPEG, PNG, WebP, GIF, TIFF, BMP and AVIF are read, HEIC where its decoder is installed."),
    problem(415, "not_a_picture", "Not a picture",
        "The proxy lets only pictures pass here.",
        "Send the picture itself."),
    problem(422, "broken_picture", "Broken picture",
        "The file breaks off or cannot be read.",
        "Open and save it with another program."),
    problem(422, "poison_body", "Poison body",
        "Every worker that was given this body died while it worked on it.",
        "Do not send it again; tell the operator."),
    problem(429, "rate_limited", "Rate limited",
        "You ask more often than the proxy allows.",
        "Retry-After says when to ask again."),
    problem(431, "head_too_large", "Head too large",
        "The request's header fields are larger than the proxy takes.",
        "Send fewer or shorter ones; regions fit into a form."),
    problem(500, "internal", "Internal error",
        "Something went wrong inside; no picture was answered.",
        "Tell the operator the request's id, by which the log names the cause."),
    problem(500, "script_failed", "Script failed",
        "A rule that the proxy's operator wrote could not be applied to the request.",
        "Tell the operator the request's id, by which the log names the rule."),
    problem(500, "proof_failed", "Result not proven",
        "The written file did not pass its own check, so that it was not sent.",
        "Tell the operator; `profile=reencode` takes another road."),
    problem(500, "still_seen", "Faces still seen",
        "Faces were still seen after they had been hidden, so that the picture was not sent.",
        "Choose `effect=solid` or a larger `margin`."),
    problem(501, "not_implemented", "Not implemented",
        "The request needs something of HTTP that the proxy does not know.",
        "Send it in a plainer way."),
    problem(502, "upstream_failed", "Upstream failed",
        "No worker gave a usable answer.",
        "Send it again later."),
    problem(503, "busy", "Busy",
        "All places are taken.",
        "Retry-After says when to ask again."),
    problem(503, "loading", "Loading",
        "The models are still loading.",
        "Ask again in a second."),
    problem(503, "no_backend", "No backend",
        "No worker is there at this moment.",
        "Retry-After says when to ask again."),
    problem(503, "too_many_at_once", "Too many at once",
        "You have more requests open than the proxy allows.",
        "Wait for their answers."),
    problem(503, "authority_unavailable", "Authority unavailable",
        "Whoever says who may come in cannot be asked.",
        "Send it again later."),
    problem(504, "deadline_exceeded", "Deadline exceeded",
        "The time allowed for this picture is over.",
        "Allow more time in `Veil-Deadline-Ms`, or ask for less `detail`."),
    problem(504, "upstream_timeout", "Upstream timeout",
        "The worker did not answer the proxy in time.",
        "Send it again later, or ask for less `detail`."),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn every_code_of_the_document_has_its_page() {
        let document: Value = serde_json::from_str(include_str!("../openapi.json")).unwrap();
        let listed = &document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
        let listed: BTreeSet<&str> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|code| code.as_str().unwrap())
            .collect();
        assert_eq!(listed, PROBLEMS.iter().map(|problem| problem.code).collect());
    }

    #[test]
    fn code_is_marked_as_code() {
        let page = PROBLEMS
            .iter()
            .find(|problem| problem.code == "still_seen")
            .unwrap()
            .page();
        assert!(page.contains("Choose <code>effect=solid</code> or a larger <code>margin</code>."));
        assert!(!page.contains('{') && !page.contains('`'));
    }
}
