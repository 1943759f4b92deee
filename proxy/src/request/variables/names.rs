//! The names of variables, one list for every template and condition.

use crate::request::connection::Counted;
use crate::yaml::placeholders::Vocabulary;

/// What may stand in a template. Unknown ones are nothing, except that an unknown client is `unknown`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    /// `Content-Type` of the answer; in what is made of it alone. Nginx: `$sent_http_content_type`.
    AnswerType,
    ApiKey,
    /// What the client asked for, with the port. Nginx: `$http_host`.
    Authority,
    /// The one that was asked last.
    Backend,
    /// All that were asked. Nginx: `$upstream_addr`.
    Backends,
    /// A group of the route's `path_regex`, by its number or name.
    Capture(Box<str>),
    /// Of the JWT that the client has shown.
    Claim(Box<str>),
    ClientAddress,
    /// SHA-256 of the client's certificate. Nginx: `$ssl_client_fingerprint`, which is SHA-1.
    ClientFingerprint,
    ClientPort,
    /// Of the client's certificate. Nginx: `$ssl_client_s_dn`.
    ClientSubject,
    /// Which of all connections it came by, from 1 on. Nginx: `$connection`.
    Connection,
    /// Seconds since that was accepted. Nginx: `$connection_time`.
    ConnectionTime,
    /// Which of its connection's requests it is. Nginx: `$connection_requests`.
    ConnectionRequests,
    /// A number of all connections. Nginx: `$connections_active` and others.
    Connections(Counted),
    Cookie(Box<str>),
    /// Milliseconds since the head had been read.
    DurationMs,
    /// The same in seconds, `0.012`. Nginx: `$request_time`.
    DurationSeconds,
    Header(Box<str>),
    /// Without the port, in lower case; where the client names none, the address that it has connected to.
    Host,
    /// What the script before tells the request apart by.
    Key,
    Method,
    /// What a filter or a script has noted under this name.
    Note(Box<str>),
    /// The path that routes match. Nginx: `$uri`.
    Path,
    /// Who is at the other end of the connection. Nginx: `$realip_remote_addr`.
    PeerAddress,
    Pool,
    /// `HTTP/1.1`. Nginx: `$server_protocol`.
    Protocol,
    /// The whole query. Nginx: `$args`.
    Query,
    /// One of its arguments, as written. Nginx: `$arg_name`.
    Argument(Box<str>),
    RequestId,
    /// Path and query as the client wrote them.
    RequestUri,
    /// What the status of the answer is called.
    Reason,
    Route,
    Scheme,
    /// Nginx: `$ssl_server_name`.
    ServerName,
    ServerPort,
    /// Of the answer; in what is made of it alone.
    Status,
    /// What a table of that name says.
    Table(Box<str>),
    /// The path as filters have left it so far, in its normal form.
    TargetPath,
    /// The query likewise.
    TargetQuery,
    /// `?` where that is something. Nginx: `$is_args`.
    TargetQueryMark,
    /// `r` where the client has resumed a session, else `.`. Nginx: `$ssl_session_reused`.
    TlsResumed,
    TlsVersion,
    TraceId,
    /// Milliseconds from the attempt's start to the head of its answer.
    UpstreamMs,
    UpstreamStatus,
    /// Of all that were asked. Nginx: `$upstream_status`.
    UpstreamStatuses,
    User,
}

pub(super) static VARIABLES: Vocabulary<Variable> = Vocabulary {
    simple: &[
        ("answer_type", Variable::AnswerType),
        ("api_key", Variable::ApiKey),
        ("authority", Variable::Authority),
        ("backend", Variable::Backend),
        ("backends", Variable::Backends),
        ("client_address", Variable::ClientAddress),
        ("client_fingerprint", Variable::ClientFingerprint),
        ("client_port", Variable::ClientPort),
        ("client_subject", Variable::ClientSubject),
        ("connection", Variable::Connection),
        ("connection_requests", Variable::ConnectionRequests),
        ("connection_time", Variable::ConnectionTime),
        ("connections_accepted", Variable::Connections(Counted::Accepted)),
        ("connections_active", Variable::Connections(Counted::Active)),
        ("connections_reading", Variable::Connections(Counted::Reading)),
        ("connections_requests", Variable::Connections(Counted::Requests)),
        ("connections_waiting", Variable::Connections(Counted::Waiting)),
        ("connections_writing", Variable::Connections(Counted::Writing)),
        ("duration_ms", Variable::DurationMs),
        ("duration_seconds", Variable::DurationSeconds),
        ("host", Variable::Host),
        ("key", Variable::Key),
        ("method", Variable::Method),
        ("path", Variable::Path),
        ("peer_address", Variable::PeerAddress),
        ("pool", Variable::Pool),
        ("protocol", Variable::Protocol),
        ("query", Variable::Query),
        ("reason", Variable::Reason),
        ("request_id", Variable::RequestId),
        ("request_uri", Variable::RequestUri),
        ("route", Variable::Route),
        ("scheme", Variable::Scheme),
        ("server_name", Variable::ServerName),
        ("server_port", Variable::ServerPort),
        ("status", Variable::Status),
        ("target_path", Variable::TargetPath),
        ("target_query", Variable::TargetQuery),
        ("target_query_mark", Variable::TargetQueryMark),
        ("tls_resumed", Variable::TlsResumed),
        ("tls_version", Variable::TlsVersion),
        ("trace_id", Variable::TraceId),
        ("upstream_ms", Variable::UpstreamMs),
        ("upstream_status", Variable::UpstreamStatus),
        ("upstream_statuses", Variable::UpstreamStatuses),
        ("user", Variable::User),
    ],
    named: &[
        ("capture_", Variable::Capture),
        ("claim_", Variable::Claim),
        ("cookie_", Variable::Cookie),
        ("header_", |name| Variable::Header(name.replace('_', "-").into())),
        ("note_", Variable::Note),
        ("query_", Variable::Argument),
        ("table_", Variable::Table),
    ],
};
