//! `POST /v1/blur`: the picture again, with every face hidden; or a report with the picture inside.

use axum::{
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};

use super::{AppState, access, problem::Failure, report, server_timing, upload::Upload};
use crate::pipeline;

pub(super) async fn blur(State(service): AppState, request: Request) -> Result<Response, Failure> {
    let upload = Upload::receive(request, &service).await?;
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
        (header::HeaderName::from_static("x-faces"), faces.to_string()),
        (header::HeaderName::from_static("x-veil-path"), path.to_owned()),
        (
            header::HeaderName::from_static("server-timing"),
            server_timing(worked.queue, &blurred.timings),
        ),
    ];
    let noted = access::Picture {
        media_type,
        pixels: worked.header.size.pixels(),
        faces,
    };
    let mut response = if worked.options.report {
        (own_headers, report::answer(&worked)).into_response()
    } else {
        let media_type = [(header::CONTENT_TYPE, worked.value.media_type)];
        (own_headers, media_type, worked.value.file).into_response()
    };
    response.extensions_mut().insert(noted);
    Ok(response)
}
