//! `POST /v1/blur`: the picture again, with every face hidden; `POST /v1/blur/report`: what was found and done, with the
//! picture inside; and both of them in several parts, for whoever accepts that. `POST /blur/` is the first by the name and
//! field that Panoramax's servers ask for.

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::{
    AppState,
    accept::Wanted,
    access,
    problem::Failure,
    report::{Report, with_picture},
    server_timing,
    service::Service,
    upload::{Upload, Worked},
};
use crate::{
    error::Error,
    pipeline::{self, Blurred},
};

pub(super) async fn blur(state: AppState, request: Request) -> Result<Response, Failure> {
    answer(state, request, Wanted::Picture).await
}

pub(super) async fn report(state: AppState, request: Request) -> Result<Response, Failure> {
    answer(state, request, Wanted::Report).await
}

async fn answer(State(service): AppState, request: Request, usual: Wanted) -> Result<Response, Failure> {
    let wanted = Wanted::by(request.headers(), usual);
    let mut upload = Upload::receive(request, &service).await?;
    if wanted != Wanted::Picture {
        upload.report();
    }
    let worked = hide(upload, &service).await?;
    let blurred = &worked.value;
    let own_headers = told(&worked);
    let noted = access::Picture {
        media_type: worked.header.format.media_type(),
        pixels: worked.header.size.pixels(),
        faces: blurred.faces.len(),
    };
    let mut response = match wanted {
        Wanted::Picture => ([(header::CONTENT_TYPE, blurred.media_type)], worked.value.file).into_response(),
        Wanted::Report => Report::of(&worked).with_base64(&blurred.file).into_response(),
        Wanted::Both => with_picture(&Report::of(&worked), blurred.media_type, &blurred.file)?,
    };
    response.headers_mut().extend([
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ]);
    let headers = own_headers.map(|(name, value)| (name, value.parse()));
    for (name, value) in headers {
        response.headers_mut().insert(name, value.map_err(Error::internal)?);
    }
    response.extensions_mut().insert(noted);
    Ok(response)
}

/// # Errors
/// The pipeline's, and those of waiting for it.
pub(super) async fn hide(upload: Upload, service: &Service) -> Result<Worked<Blurred>, Error> {
    let key = service.noise_key.clone();
    let worked = upload
        .work(service, move |file, header, options, models, go_on| {
            pipeline::blur(file, header, options, &key, models, go_on)
        })
        .await?;
    let blurred = &worked.value;
    service.metrics.picture(
        worked.header.format.media_type(),
        blurred.road.name,
        blurred.faces.len(),
        worked.queue,
        &blurred.timings,
    );
    service.metrics.second_look(blurred.second_look);
    Ok(worked)
}

/// What is told of a picture beside it.
pub(super) fn told(worked: &Worked<Blurred>) -> [(HeaderName, String); 4] {
    let blurred = &worked.value;
    [
        (FACES, blurred.faces.len().to_string()),
        (FACES_SPARED, blurred.spared.len().to_string()),
        (HeaderName::from_static("x-veil-path"), blurred.road.name.to_owned()),
        (
            HeaderName::from_static("server-timing"),
            server_timing(worked.queue, &blurred.timings),
        ),
    ]
}

const FACES: HeaderName = HeaderName::from_static("x-faces");
const FACES_SPARED: HeaderName = HeaderName::from_static("x-faces-spared");
