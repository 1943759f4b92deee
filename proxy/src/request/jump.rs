//! From one route to another, by the target that filters have made.

use pingora::http::RequestHeader;

use super::RequestCtx;
use super::problem::{self, Problem};

/// Of one request. Nginx has the same bound.
const MOST: u8 = 10;

/// Whether filters have made another path than the one that the route was found by.
pub fn is_due(head: &RequestHeader, ctx: &RequestCtx) -> bool {
    let made = ctx.notes.target.as_deref().map(path_of);
    made.is_some_and(|path| {
        ctx.notes
            .slashes
            .normal(path)
            .map_or(true, |path| path != ctx.path(head))
    })
}

/// Makes the target that filters have made what routes match.
///
/// # Errors
/// It means nothing, or the request goes in a circle.
pub fn jump(ctx: &mut RequestCtx) -> Result<(), Problem> {
    if ctx.notes.jumps >= MOST {
        return Err(problem::CIRCLE);
    }
    ctx.notes.jumps += 1;
    if let Some(target) = ctx.notes.target.as_deref() {
        let path = ctx
            .notes
            .slashes
            .normal(path_of(target))
            .map_err(|_| problem::BAD_PATH)?;
        ctx.path = Some(path.into());
    }
    Ok(())
}

fn path_of(target: &str) -> &[u8] {
    target.split('?').next().unwrap_or_default().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::testing::ctx;

    #[test]
    fn a_circle_ends() {
        let mut ctx = ctx("192.0.2.1");
        ctx.notes.target = Some("/a%20b?c".into());
        let jumps = (0..20).take_while(|_| jump(&mut ctx).is_ok()).count();
        assert_eq!((jumps, ctx.path.as_deref()), (10, Some("/a b")));
        ctx.notes.jumps = 0;
        ctx.notes.target = Some("/%zz".into());
        assert_eq!(jump(&mut ctx), Err(problem::BAD_PATH));
    }
}
