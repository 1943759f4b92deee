//! `POST /v1/blur`: the picture again, with every face hidden; `POST /v1/blur/report`: what was found and done, with the
//! picture inside; and both of them in several parts, for whoever accepts that. `POST /blur/` is the first by the name and
//! field that Panoramax's servers ask for.

use axum::{
    extract::{Request, State},
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};

use super::{
    AppState,
    accept::Wanted,
    access,
    problem::Failure,
    report::{Report, with_picture},
    server_timing,
    upload::Upload,
};
use crate::pipeline;

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
    let key = service.noise_key.clone();
    let worked = upload
        .work(&service, move |file, header, options, models, go_on| {
            pipeline::blur(file, header, options, &key, models, go_on)
        })
        .await?;
    let blurred = &worked.value;
    let media_type = worked.header.format.media_type();
    let path = blurred.road.name;
    let faces = blurred.faces.len();
    service
        .metrics
        .picture(media_type, path, faces, worked.queue, &blurred.timings);
    service.metrics.second_look(blurred.second_look);
    let own_headers = [
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (FACES, faces.to_string()),
        (FACES_SPARED, blurred.spared.len().to_string()),
        (HeaderName::from_static("x-veil-path"), path.to_owned()),
        (
            HeaderName::from_static("server-timing"),
            server_timing(worked.queue, &blurred.timings),
        ),
    ];
    let noted = access::Picture {
        media_type,
        pixels: worked.header.size.pixels(),
        faces,
    };
    let mut response = match wanted {
        Wanted::Picture => ([(header::CONTENT_TYPE, blurred.media_type)], worked.value.file).into_response(),
        Wanted::Report => Report::of(&worked).with_base64(&blurred.file).into_response(),
        Wanted::Both => with_picture(&Report::of(&worked), blurred.media_type, &blurred.file)?,
    };
    let headers = own_headers.map(|(name, value)| (name, value.parse()));
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, value.map_err(crate::error::Error::internal)?);
    }
    response.extensions_mut().insert(noted);
    Ok(response)
}

const FACES: HeaderName = HeaderName::from_static("x-faces");
const FACES_SPARED: HeaderName = HeaderName::from_static("x-faces-spared");
