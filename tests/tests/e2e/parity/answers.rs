//! What is compared of answers: how long they may be kept, where they lead, which files they are.

pub const CASES: &[(&str, &[&str])] = &[
    (
        "expires epoch; location /max { expires max; proxy_pass http://echo; } location /off { expires off; proxy_pass http://echo; } EVERY",
        &[
            "GET /",
            "POST /3",
            "GET /status/404",
            "GET /status/301",
            "GET /status/203",
            "GET /max",
            "GET /off",
        ],
    ),
    (
        "expires $arg_e; EVERY",
        &[
            "GET /?e=max",
            "GET /?e=off",
            "GET /?e=bad",
            "GET /",
            "GET /?e=epoch",
            "GET /?e=@25h",
        ],
    ),
    (
        "expires max; add_header Cache-Control public; add_header Cache-Control immutable always; EVERY",
        &["GET /", "GET /status/404"],
    ),
    (
        "expires max; location /to { return 302 /x; } location /gone { return 404 gone; } location / { return 200 ok; }",
        &["GET /", "GET /to", "GET /gone"],
    ),
    (
        "expires modified 1h; add_header Last-Modified 'Mon, 28 Sep 1970 06:00:00 GMT'; proxy_hide_header X-Other; EVERY",
        &["GET /status/404"],
    ),
    (
        "expires -1y; proxy_hide_header Expires; location / { return 404; }",
        &["GET /"],
    ),
    ("proxy_method $arg_m; EVERY", &["GET /?m=PUT", "POST /x?m=DELETE"]),
    (
        "proxy_cookie_path /a/ /b/; EVERY",
        &[
            "GET / X-Cookie: a=b;Path=/other ;HttpOnly",
            "GET / X-Cookie: a=b;Path=/a/c ;HttpOnly",
        ],
    ),
    (
        "location /d/ { proxy_pass http://echo/; } location /e/ { proxy_pass http://echo/f/; proxy_redirect ~^http://echo(/.*)$ $1; }",
        &[
            "GET /d/ X-Refresh: 5; url=http://echo/x",
            "GET /d/ X-Location: http://echo/x",
            "GET /e/ X-Refresh: 5; url=http://echo/x",
            "GET /e/ X-Location: http://echo/x",
            "GET /d/ X-Refresh: 5;URL=http://echo/x",
            "GET /d/ X-Refresh: 5",
        ],
    ),
    ("return 497;", &["GET /"]),
    ("error_page 497 https://a.test$request_uri; return 497;", &["GET /x"]),
    ("error_page 495 496 =301 https://a.test/; return 496;", &["GET /x"]),
    (
        "error_page 497 /e; location /e { return 200 page; } location / { return 497; }",
        &["GET /x"],
    ),
    (
        "root FOLDER; location / { try_files $uri @not; } location @not { return 200 not; }",
        &[
            "GET /dir",
            "GET /dir/",
            "GET /",
            "GET /none",
            "GET /d%20r/",
            "GET /..%2f",
        ],
    ),
    (
        "root FOLDER; location / { try_files $uri $uri/ @not; } location @not { return 200 not; }",
        &["GET /dir", "GET /none", "GET /none/", "GET /d%20r?x=y", "GET /users/"],
    ),
    (
        "root FOLDER; location / { try_files /dir/ =404; } location /n { try_files /none /none/ =418; } location /f { try_files /dir =410; }",
        &["GET /x", "GET /n", "GET /f"],
    ),
    (
        "location /al/ { alias FOLDER/; try_files $uri $uri/ @not; } location @not { return 200 not; } location / { return 204; }",
        &["GET /al/dir", "GET /al/none", "GET /al/none/x"],
    ),
    (
        "location ~ ^/r/(.*)$ { alias FOLDER/$1; } location /p/ { alias FOLDER/; location ~ x$ { try_files $uri =418; } } location / { return 204; }",
        &["GET /r/none", "GET /p/x", "GET /p/dirx"],
    ),
    (
        "location = /one { alias FOLDER/none.txt; } location /two { alias FOLDER/none.txt; } location / { root FOLDER/$arg_d; }",
        &[
            "GET /one",
            "GET /two",
            "GET /two/x",
            "GET /dir",
            "GET /none?d=dir",
            "GET /?d=none",
        ],
    ),
    (
        "expires $kept; EVERY",
        &[
            "GET /",
            "GET / X-Type: text/css",
            "GET / X-Type: text/html; charset=utf-8",
            "GET / X-Type: image/png",
            "GET /status/404 X-Type: text/css",
        ],
    ),
    (
        "location / { if ($arg_v) { expires max; } proxy_pass http://echo; }",
        &["GET /?v=1", "GET /"],
    ),
    (
        "location ^~ /own/ { proxy_pass http://echo/; } location ^~ /in { proxy_pass http://echo/out; } location ~ css$ { return 204; } EVERY",
        &[
            "GET /own/a.css",
            "GET /own",
            "GET /own/ X-Location: http://echo/x",
            "GET /in/a.css",
            "GET /b.css",
            "GET /b",
        ],
    ),
    (
        "location ~ /\\.(?!well-known).* { return 403 no; } EVERY",
        &[
            "GET /.git/config",
            "GET /.well-known/acme",
            "GET /a/.htaccess",
            "GET /x",
            "GET /.well-know",
        ],
    ),
    (
        "location / { auth_request /leave; auth_request_set $visitor $upstream_http_x_other; auth_request_set $none $upstream_http_x_none; \
         proxy_set_header X-Who $visitor; proxy_set_header X-None $none; proxy_pass http://echo; } location = /leave { internal; proxy_pass http://echo/status/204; }",
        &["GET / X-Who: forged", "GET / X-None: forged"],
    ),
    (
        "proxy_set_header X-A $arg_a; EVERY",
        &["GET /?a=1 X-A: forged", "GET / X-A: forged"],
    ),
    (
        "location / { add_header X-A outer; add_header X-B outer; if ($request_method = POST) { add_header X-A inner; add_header X-C inner; return 204; } return 200 ok; } \
         location /p { add_header X-A outer always; if ($arg_q) { add_header X-A inner; } proxy_pass http://echo; } \
         location /s { set $shown no; if ($arg_q) { set $shown yes; } add_header X-A $shown; if ($shown = yes) { add_header X-A in; return 201 $shown; } return 200 $shown; }",
        &["GET /", "POST /x", "GET /p", "GET /p?q=1", "GET /s", "GET /s?q=1"],
    ),
];
