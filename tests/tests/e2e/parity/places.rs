//! What is compared of hosts, users, folders, and of where clients are sent.

pub const CASES: &[(&str, &[&str])] = &[
    (
        "EVERY",
        &[
            "GET / X-Location: http://echo/y",
            "GET / X-Location: http://other.test/y",
        ],
    ),
    (
        "location /one/ { proxy_pass http://echo/two/; }",
        &[
            "GET /one/x X-Location: http://echo/two/y?z",
            "GET /one/x X-Location: http://echo/three",
            "GET /one/x X-Location: /two/y",
        ],
    ),
    (
        "proxy_cookie_path /a/ /b/; proxy_cookie_path ~*^/C/(.+)$ /$1; proxy_cookie_path /$arg_x/ /y/; EVERY",
        &[
            "GET / X-Cookie: a=b; Path=/a/c; HttpOnly",
            "GET / X-Cookie: a=b;path=/c/d",
            "GET /?x=e X-Cookie: a=b; Path=/e/",
            "GET / X-Cookie: a=b; Path=/other",
        ],
    ),
    (
        "proxy_cookie_domain .a.test .b.test; proxy_cookie_domain ~^(.+)\\.i$ $1.o; EVERY",
        &[
            "GET / X-Cookie: a=b; Domain=A.test",
            "GET / X-Cookie: a=b; Domain=.a.test; Path=/",
            "GET / X-Cookie: a=b; Domain=x.I",
            "GET / X-Cookie: a=b; Domain=x.a.test",
        ],
    ),
    (
        "proxy_cookie_flags one secure samesite=lax; proxy_cookie_flags ~^t nosecure; proxy_cookie_flags ~ httponly; EVERY",
        &[
            "GET / X-Cookie: one=1; SameSite=None; Path=/",
            "GET / X-Cookie: two=2; Secure; Path=/",
            "GET / X-Cookie: other=3",
        ],
    ),
    (
        "proxy_cookie_path / '/; Secure; HttpOnly'; EVERY",
        &["GET / X-Cookie: a=b; Path=/", "GET / X-Cookie: a=b"],
    ),
    ("proxy_redirect off; EVERY", &["GET / X-Location: http://echo/y"]),
    (
        "proxy_redirect http://a.test/ /b/; proxy_redirect ~^http://([a-z]+)\\.i\\.test/(.*)$ https://$1.o.test/$2; EVERY",
        &[
            "GET / X-Location: http://a.test/c",
            "GET / X-Location: http://q.i.test/r?s",
            "GET / X-Location: http://Q.i.test/r",
            "GET / X-Location: http://echo/y",
        ],
    ),
    (
        "location /d/ { proxy_pass http://echo/; proxy_redirect default; proxy_redirect http://$host/ https://$host:444/; }",
        &[
            "GET /d/ X-Location: http://echo/y",
            "GET /d/ X-Location: http://d.test/y",
        ],
    ),
    (
        "proxy_redirect ~*^HTTP://(.*)$ $scheme://$1; EVERY",
        &["GET / X-Location: http://x.test/"],
    ),
    (
        "satisfy any; allow 10.0.0.0/8; deny all; auth_basic x; auth_basic_user_file FOLDER/users; EVERY",
        USERS,
    ),
    (
        "satisfy any; allow 127.0.0.1; deny all; auth_basic x; auth_basic_user_file FOLDER/users; EVERY",
        &["GET /"],
    ),
    (
        "satisfy all; allow 127.0.0.1; deny all; auth_basic x; auth_basic_user_file FOLDER/users; EVERY",
        USERS,
    ),
    (
        "satisfy any; deny all; auth_basic x; auth_basic_user_file FOLDER/users; location /o { auth_basic off; return 200; } EVERY",
        &["GET /o", "GET /"],
    ),
    ("auth_basic x; auth_basic_user_file FOLDER/users; EVERY", USERS),
    (
        "server_name ~^(?<who>[a-z]+)\\.(re)\\.test$ late.* *.early.test; return 200 \"$who $2.\";",
        &[
            "GET / Host: ann.re.test",
            "GET / Host: ANN.re.test:81",
            "GET / Host: a1.re.test",
            "GET / Host: late.example",
            "GET / Host: late",
            "GET / Host: x.early.test",
            "GET / Host: early.test",
        ],
    ),
    (
        "server_name ~^an; return 201;",
        &["GET / Host: ann.re.test", "GET / Host: anna", "GET / Host: late.an"],
    ),
    (
        "server_name late.re.*; return 202;",
        &["GET / Host: late.re.test", "GET / Host: late.x"],
    ),
    (
        "EVERY",
        &[
            "GET / Host: a..b",
            "GET / Host: a.b..",
            "GET / Host: ..",
            "GET / Host: a/b",
        ],
    ),
    (
        "return 200 \"$near $of_arg\";",
        &[
            "GET /?ip=10.0.0.9",
            "GET /?ip=10.0.0.10",
            "GET /?ip=10.0.0.4",
            "GET /?ip=x",
            "GET /",
        ],
    ),
    (
        "root FOLDER; ",
        &["GET /dir", "GET /dir?a=b", "GET /d%20r", "GET /none"],
    ),
    (
        "location /i/ { alias FOLDER/; }",
        &["GET /i/dir", "GET /i/d%20r?x", "GET /i/none"],
    ),
    ("absolute_redirect off; root FOLDER;", &["GET /dir"]),
    // Sites on a disk that is not mounted yet, and those that were never made.
    (
        "root FOLDER/never; location /a/ { alias FOLDER/nor/; } location /t { try_files $uri $uri/ /index.html =404; } location /e { try_files $uri @echo; } \
         location @echo { proxy_pass http://echo; }",
        &["GET /", "GET /x", "GET /a/", "GET /a/x", "GET /t", "GET /e/x"],
    ),
    (
        "server_name_in_redirect on; port_in_redirect off; root FOLDER;",
        &["GET /dir"],
    ),
    (
        "location \"/a b/\" { proxy_pass http://echo; } location \"/q?/\" { return 201; } location /p%/ { return 202; }",
        &[
            "GET /a%20b",
            "GET /a%20b?c",
            "GET /a%20b/c",
            "GET /q%3F/",
            "GET /q?/",
            "GET /p%25/",
        ],
    ),
    (
        "location /e { error_page 302 /t; return 302 /x; } location /t { return 200 t; }",
        &["GET /e"],
    ),
    (
        "location / { proxy_pass http://$picked; }",
        &["GET /?p=", "GET /?p=dead", "GET /a/b?p=w", "GET /?p=none"],
    ),
    (
        "location / { error_page 404 = @pick; return 404; } location @pick { proxy_pass http://$picked; }",
        &["GET /a?p=", "GET /a/b?p=w", "GET /?p=none"],
    ),
    (
        "location / { error_page 502 503 = @back; proxy_pass http://dead; } location @back { proxy_pass http://echo; }",
        &["GET /a?b", "POST /5", "GET /status/404", "HEAD /a"],
    ),
    (
        "location / { error_page 502 503 =502 /back; proxy_pass http://dead; } location /back { internal; proxy_pass http://echo; }",
        &["GET /a", "GET /a?b", "GET /back"],
    ),
    (
        "location / { error_page 502 503 =200 /back/x?y; proxy_pass http://dead; } location /back/ { proxy_pass http://echo/; }",
        &["GET /a"],
    ),
    (
        "proxy_intercept_errors on; location / { error_page 404 = @back; error_page 500 /own; proxy_pass http://echo; } \
         location @back { rewrite ^ /found break; proxy_pass http://echo; } location /own { return 200 own; }",
        &[
            "GET /status/404",
            "POST /status/404",
            "GET /status/500",
            "GET /status/403",
        ],
    ),
    (
        "location / { error_page 404 = @pick; error_page 502 503 = @back; proxy_pass http://$picked; proxy_intercept_errors on; } \
         location @back { proxy_pass http://echo; } location @pick { proxy_pass http://dead; }",
        &["GET /a?p=dead", "GET /a?p=w"],
    ),
    (
        "location / { error_page 404 = @same; return 404; } location @same { return 200 one; }",
        &["GET /"],
    ),
    (
        "root FOLDER; location / { try_files $uri @same; } location @same { return 200 two; }",
        &["GET /none"],
    ),
    (
        "location '/b\\c/' { proxy_pass http://echo; } location '/q\\z' { return 201; } location / { return 202; }",
        &[
            "GET /b%5Cc",
            "GET /b%5Cc?d",
            "GET /b%5cc/d",
            "GET /q%5Cz",
            "GET /q\\z",
            "GET /q/z",
        ],
    ),
    (
        "location / { return 200 $behind-$far_behind; }",
        &[
            "GET /",
            "GET / X-Forwarded-For: 192.0.2.1",
            "GET / X-Forwarded-For: 10.0.0.1, 192.0.2.1",
            "GET / X-Forwarded-For: 192.0.2.1, 127.0.0.1",
            "GET / X-Forwarded-For: 192.0.2.1, 10.0.0.1, 127.0.0.9",
            "GET / X-Forwarded-For: 2001:db8::1",
        ],
    ),
    (
        "auth_basic x; auth_basic_user_file FOLDER/$arg_f; EVERY",
        &[
            "GET /?f=users",
            "GET /?f=users Authorization: Basic YWRhOnBhc3N3b3Jk",
            "GET /?f=users Authorization: Basic YWRhOlBhc3N3b3Jk",
            "GET /?f=none Authorization: Basic YWRhOnBhc3N3b3Jk",
            "GET /?f=none",
        ],
    ),
    (
        "error_page 404 /page; proxy_intercept_errors on; location = /page { proxy_pass http://echo; } EVERY",
        &[
            "GET /status/404",
            "HEAD /status/404",
            "POST /status/404",
            "PUT /status/404",
            "GET /",
        ],
    ),
    (
        "error_page 404 @page; proxy_intercept_errors on; location @page { rewrite ^ /named break; proxy_pass http://echo; } EVERY",
        &["GET /status/404", "POST /status/404", "DELETE /status/404"],
    ),
    (
        "error_page 404 /status/410; error_page 500 =418 /status/410; error_page 501 = /status/410; \
         location /status/410 { proxy_pass http://echo; } location / { proxy_pass http://echo; proxy_intercept_errors on; }",
        &["GET /status/404", "GET /status/500", "GET /status/501"],
    ),
    (
        "error_page 403 404 /page; location = /page { return 200 page; } location /said { return 404 gone; } location / { return 404; }",
        &["GET /said", "GET /", "POST /"],
    ),
    (
        "error_page 404 http://other.test/x; error_page 403 =301 https://b.test$request_uri; location / { return 404; } \
         location /shut { return 403; } location /echo { proxy_pass http://echo/status/404; }",
        &["GET /", "GET /shut?q", "GET /echo"],
    ),
    (
        "error_page 502 /status/202; location /status { proxy_pass http://echo; } location / { proxy_pass http://dead_too; }",
        &["GET /", "GET /", "POST /3", "GET /status/502"],
    ),
    (
        "limit_conn places 1; root FOLDER; location / { try_files $uri @echo; } location @echo { proxy_pass http://echo; }",
        &["GET /x"],
    ),
    (
        "limit_conn places 1; error_page 404 /status/203; location /status { proxy_pass http://echo; } location / { return 404; }",
        &["GET /x"],
    ),
    (
        "limit_req zone=turns burst=1 nodelay; root FOLDER; location / { try_files $uri @echo; } location @echo { proxy_pass http://echo; }",
        &["GET /x", "GET /y"],
    ),
    (
        "limit_conn places 1; limit_conn_dry_run on; limit_req zone=turns; limit_req_dry_run on; proxy_socket_keepalive on; EVERY",
        &["GET /a", "GET /b", "GET /c"],
    ),
    (
        "error_page 404 https://a.test/x; error_page 403 =200 /ok; add_header X-N n; add_header X-A a always; location /e { return 404; } \
         location /f { return 403; } location /ok { return 200 ok; } location /p { proxy_pass http://echo/status/404; proxy_intercept_errors on; \
         proxy_redirect https://a.test/ /wrong/; }",
        &["GET /e", "GET /f", "GET /p", "GET /none", "GET /"],
    ),
    (
        "location ~ ^/t/(?<shared>[a-z]+)$ { return 200 \"taken $shared\"; } location / { return 200 \"none $shared\"; }",
        &["GET /t/abc", "GET /x"],
    ),
    ("set $shared set; location / { return 200 $shared; }", &["GET /"]),
    (
        "proxy_set_header X-A $http_x_b; proxy_set_header X-C $arg_c; proxy_set_header X-D d$arg_c; EVERY",
        &["GET / X-B: b", "GET / X-A: forged", "GET /?c=1", "GET / X-C: forged"],
    ),
    (
        "rewrite (.*)/index\\.php/?(.*) $1/$2 permanent; rewrite ^(/old)(.*)$ $1er$2 redirect; location /x { return 200 x; }",
        &[
            "GET /a/index.php/b?c",
            "GET /index.php",
            "GET /old/x",
            "GET /x",
            "GET /none",
        ],
    ),
    (
        "proxy_bind 127.0.0.1; proxy_ignore_client_abort on; proxy_limit_rate 1m; EVERY",
        &["GET /", "POST /5"],
    ),
    ("proxy_method PUT; EVERY", &["GET /", "POST /3"]),
    (
        "proxy_pass_request_headers off; proxy_set_header X-A a; EVERY",
        &["GET / X-B: b", "POST /3", "GET / Host: C"],
    ),
    (
        "proxy_pass_request_body off; proxy_set_header Content-Length ''; EVERY",
        &["GET /", "POST /3"],
    ),
    ("proxy_set_body 'of $request_method'; EVERY", &["GET /", "POST /3"]),
    (
        "add_header X-S $upstream_status always; add_header X-A $upstream_addr always; location / { proxy_pass http://dead_then_echo; } \
         location /dead { proxy_pass http://dead_three; } location /said { return 200 x; }",
        &["GET /dead", "GET /said"],
    ),
    (
        "location / { proxy_pass http://echo$request_uri; } location /u { proxy_pass http://echo$uri; } location /q { proxy_pass http://echo$uri$is_args$args; } \
         location ~ ^/r/(.*)$ { proxy_pass http://echo/to/$1; } location ~ ^/s/(?<n>[0-9]+)$ { proxy_pass http://echo/$n?x=$arg_x; }",
        &[
            "GET /a?b=c",
            "GET /a",
            "GET /u/a?b",
            "GET /q/a?b",
            "GET /q/a",
            "GET /r/x/y?z",
            "GET /r/",
            "GET /s/7?x=1&y=2",
            "GET /s/x",
        ],
    ),
    (
        "set $to echo; location / { proxy_pass http://$to/fixed; } location /n { proxy_pass http://$to; } location /w { rewrite ^ /v break; proxy_pass http://$to/own$request_uri; }",
        &["GET /a?b", "GET /n?b", "GET /w?b"],
    ),
    (
        "location / { proxy_pass http://$arg_to; } location /p { proxy_pass http://$arg_to/at$uri; }",
        &["GET /?to=echo", "GET /p?to=echo", "GET /?to=by_address"],
    ),
    ("location / { proxy_pass http://twice; }", &["GET /"]),
    // opstrace#914, NixOS/nixpkgs#517476, openfoodfacts-server#11768, and blue and green.
    (
        "location / { set $all http://echo/$request_uri; proxy_pass $all; } location /q { set $whole http://echo$request_uri; proxy_pass $whole; } \
         location /api/ { set $target http://echo/; proxy_pass $target; }",
        &["GET /q/a?b", "GET /api/foo?x=1"],
    ),
    (
        "set $side echo; if ($arg_s) { set $side by_address; } location / { proxy_pass http://$side; } location /w { proxy_pass http://${side}$uri$is_args$args; }",
        &["GET /?a", "GET /?s=1", "GET /w/x?s=1"],
    ),
    ("location / { stub_status; }", &["POST /"]),
];

/// Users of each kind, whom nobody knows, and who knows no password.
const USERS: &[&str] = &[
    "GET /",
    "GET / Authorization: Basic YWRhOnBhc3N3b3Jk",
    "GET / Authorization: Basic YWRhOlBhc3N3b3Jk",
    "GET / Authorization: Basic Ym9iOnBhc3N3b3Jk",
    "GET / Authorization: Basic Y2F0OnBhc3N3b3Jk",
    "GET / Authorization: Basic ZGFuOnBhc3N3b3Jk",
    "GET / Authorization: Basic ZXZlOnBhc3N3b3Jk",
    "GET / Authorization: Basic ZmF5OnBhc3N3b3Jk",
    "GET / Authorization: Basic ZmF5OnBhc3N3b3Jl",
    "GET / Authorization: Basic YWRh",
    "GET / Authorization: Bearer YWRhOnBhc3N3b3Jk",
];
