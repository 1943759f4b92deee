//! What is compared.

/// What a `server` holds beside where it listens and its name, and requests: `METHOD TARGET`, and what more its head holds.
/// `EVERY` stands for a location that passes everything on.
pub const CASES: &[(&str, &[&str])] = &[
    (
        "location / { proxy_pass http://echo; }",
        &["GET /", "GET /a?b=c", "POST /x"],
    ),
    (
        "location /api/ { proxy_pass http://echo; }",
        &["GET /api/", "GET /api/x", "GET /api", "GET /other"],
    ),
    (
        "location = /exact { proxy_pass http://echo; } location / { return 418; }",
        &["GET /exact", "GET /exact/", "GET /exact?q"],
    ),
    (
        "location /a { return 201; } location /a/b { return 202; } location = /a/b/c { return 203; } location / { return 200; }",
        &[
            "GET /a",
            "GET /ab",
            "GET /a/b",
            "GET /a/b/c",
            "GET /a/b/c/d",
            "GET /",
            "GET /A",
        ],
    ),
    (
        "location ^~ /a { return 201; } location / { return 200; }",
        &["GET /a", "GET /b"],
    ),
    (
        "location /out/ { location /out/in/ { return 201; } return 202; } location / { return 200; }",
        &["GET /out/", "GET /out/in/", "GET /out/in/x", "GET /x"],
    ),
    (
        "location /out/ { location = /out/in { return 201; } } location / { return 200; }",
        &["GET /out/in", "GET /x"],
    ),
    ("return 204;", &["GET /", "POST /x"]),
    ("return 200 ok;", &["GET /", "GET /x?y", "HEAD /"]),
    ("return 200 'two words\\n';", &["GET /"]),
    ("return 404 gone;", &["GET /"]),
    ("return 503;", &["GET /"]),
    ("return 444;", &["GET /", "POST /x"]),
    ("return 301 /new;", &["GET /old", "POST /old"]),
    ("return 302 /new;", &["GET /old"]),
    ("return 303 /new;", &["GET /old"]),
    ("return 307 /new;", &["POST /old"]),
    ("return 308 /new;", &["POST /old"]),
    ("return 301 https://other.test/new;", &["GET /old"]),
    ("return 301 https://$host$request_uri;", &["GET /a?b=c", "GET /%2F//x"]),
    ("return 301 $scheme://$host$uri;", &["GET /a?b=c"]),
    ("return https://other.test/;", &["GET /"]),
    ("location /r { return 301 /r/; } EVERY", &["GET /r", "GET /x"]),
    ("proxy_set_header Host $host; EVERY", &["GET /"]),
    ("proxy_set_header Host $http_host; EVERY", &["GET /"]),
    ("proxy_set_header Host $proxy_host; EVERY", &["GET /"]),
    ("proxy_set_header Host fixed.test; EVERY", &["GET /"]),
    (
        "proxy_set_header Host $host; location / { proxy_set_header X-A a; proxy_pass http://echo; }",
        &["GET /"],
    ),
    (
        "proxy_set_header X-A a; location / { proxy_set_header X-B b; proxy_pass http://echo; }",
        &["GET /"],
    ),
    (
        "proxy_set_header X-A a; proxy_set_header X-B b; EVERY",
        &["GET /", "GET / X-A: forged"],
    ),
    ("proxy_set_header X-Empty \"\"; EVERY", &["GET / X-Empty: full"]),
    (
        "proxy_set_header Accept-Encoding \"\"; EVERY",
        &["GET / Accept-Encoding: gzip"],
    ),
    ("proxy_set_header X-Client $remote_addr; EVERY", &["GET /"]),
    ("proxy_set_header X-Scheme $scheme; EVERY", &["GET /"]),
    ("proxy_set_header X-Uri $request_uri; EVERY", &["GET /a%20b?c=d"]),
    ("proxy_set_header X-Host $host; EVERY", &["GET /"]),
    (
        "proxy_set_header X-Real-IP $remote_addr; EVERY",
        &["GET /", "GET / X-Real-IP: 6.6.6.6"],
    ),
    (
        "proxy_set_header Connection \"\"; proxy_http_version 1.1; EVERY",
        &["GET /"],
    ),
    ("add_header X-A a always; EVERY", &["GET /", "GET /status/404"]),
    ("add_header X-A a; EVERY", &["GET /"]),
    ("add_header X-A a always; add_header X-B b always; EVERY", &["GET /"]),
    (
        "add_header X-A a always; location / { add_header X-B b always; proxy_pass http://echo; }",
        &["GET /"],
    ),
    ("add_header X-Host $host always; EVERY", &["GET /"]),
    ("add_header X-A a always; return 200 ok;", &["GET /"]),
    ("add_header X-A a always; return 404 no;", &["GET /"]),
    ("proxy_hide_header X-Powered-By; EVERY", &["GET /"]),
    (
        "proxy_hide_header X-Powered-By; location / { proxy_hide_header X-Other; proxy_pass http://echo; }",
        &["GET /"],
    ),
    ("allow all; EVERY", &["GET /"]),
    ("deny all; EVERY", &["GET /"]),
    ("allow 127.0.0.1; deny all; EVERY", &["GET /"]),
    ("allow 10.0.0.0/8; deny all; EVERY", &["GET /"]),
    ("deny 127.0.0.1; EVERY", &["GET /"]),
    ("deny 10.0.0.0/8; EVERY", &["GET /"]),
    ("deny 127.0.0.1; allow 127.0.0.0/8; deny all; EVERY", &["GET /"]),
    ("deny 10.1.1.1; allow 127.0.0.0/8; deny all; EVERY", &["GET /"]),
    ("allow 127.0.0.1; EVERY", &["GET /"]),
    (
        "deny all; location /open { allow all; proxy_pass http://echo; } EVERY",
        &["GET /open", "GET /shut"],
    ),
    (
        "allow 127.0.0.1; location /shut { deny all; proxy_pass http://echo; } EVERY",
        &["GET /shut", "GET /open"],
    ),
    ("deny all; location /said { return 200 ok; }", &["GET /said"]),
    ("client_max_body_size 10; EVERY", &["POST /10", "POST /11", "GET /"]),
    (
        "client_max_body_size 10; location /large { client_max_body_size 20; proxy_pass http://echo; } EVERY",
        &["POST /large/11", "POST /11", "POST /large/21"],
    ),
    ("client_max_body_size 0; EVERY", &["POST /11"]),
    ("client_max_body_size 1k; EVERY", &["POST /1024", "POST /1025"]),
    (
        "client_max_body_size 10; proxy_request_buffering off; EVERY",
        &["POST /10", "POST /11"],
    ),
    ("proxy_request_buffering off; EVERY", &["POST /100"]),
    ("proxy_buffering off; EVERY", &["GET /"]),
    ("location / { proxy_pass http://ADDRESS; }", &["GET /a?b"]),
    (
        "location / { proxy_pass http://ADDRESS; proxy_set_header Host $host; }",
        &["GET /a?b"],
    ),
    ("location / { proxy_pass http://dead; }", &["GET /"]),
    (
        "location / { proxy_pass http://dead_then_echo; }",
        &["GET /", "POST /5"],
    ),
    ("location / { proxy_pass http://echo_then_backup; }", &["GET /"]),
    ("location / { proxy_pass http://dead_then_backup; }", &["GET /"]),
    ("location / { proxy_pass http://down_then_echo; }", &["GET /"]),
    ("location / { proxy_pass http://weighted; }", &["GET /"]),
    ("location / { proxy_pass http://by_address; }", &["GET /"]),
    ("location / { proxy_pass http://least; }", &["GET /"]),
    ("location / { proxy_pass http://random; }", &["GET /"]),
    ("location / { proxy_pass http://hashed; }", &["GET /?id=1"]),
    (
        "proxy_next_upstream off; location / { proxy_pass http://failing_then_echo; }",
        &["GET /status/500"],
    ),
    (
        "proxy_next_upstream error timeout http_500; EVERY",
        &["GET /status/500"],
    ),
    ("proxy_next_upstream_tries 1; EVERY", &["GET /status/502"]),
    (
        "EVERY",
        &[
            "GET /status/204",
            "GET /status/304",
            "GET /status/400",
            "GET /status/401",
            "GET /status/404",
            "GET /status/500",
            "GET /status/503",
        ],
    ),
    (
        "EVERY",
        &[
            "PUT /x",
            "DELETE /x",
            "OPTIONS /",
            "PATCH /x",
            "HEAD /x",
            "GET / X-Tenant: acme",
        ],
    ),
    (
        "EVERY",
        &[
            "GET //a//b",
            "GET /a/./b",
            "GET /a/../b",
            "GET /%2e%2e/b",
            "GET /a%2Fb",
            "GET /a?x=%2F",
            "GET /a%20b",
        ],
    ),
    (
        "EVERY",
        &[
            "GET / Range: bytes=0-1",
            "GET / If-None-Match: \"x\"",
            "GET / Cookie: a=1; b=2",
            "GET / Authorization: Basic eA==",
        ],
    ),
    ("location /a%20b { return 201; } location / { return 200; }", &[]),
    (
        "location /B { return 201; } location / { return 200; }",
        &["GET /B", "GET /b", "GET /%42"],
    ),
    (
        "location /a/ { return 201; } location / { return 200; }",
        &["GET /a/../b", "GET /a//x", "GET //a/x", "GET /%61/x", "GET /a/%2e%2e/b"],
    ),
    (
        "location = / { return 201; } location / { return 200; }",
        &["GET /", "GET /?x", "GET //", "GET /x"],
    ),
    (
        "location = /health { access_log off; return 200 \"ok\\n\"; } EVERY",
        &["GET /health", "GET /healthy"],
    ),
    (
        "location = /internal { internal; proxy_pass http://echo; } EVERY",
        &["GET /internal", "GET /x"],
    ),
    (
        "keepalive_timeout 10s; client_header_timeout 5s; send_timeout 5s; EVERY",
        &["GET /"],
    ),
    (
        "proxy_connect_timeout 1s; proxy_read_timeout 5s; proxy_send_timeout 5s; EVERY",
        &["GET /"],
    ),
    ("proxy_buffers 8 16k; proxy_buffer_size 16k; EVERY", &["GET /"]),
    ("sendfile on; tcp_nodelay on; server_tokens off; EVERY", &["GET /"]),
    (
        "add_header Strict-Transport-Security \"max-age=31536000; includeSubDomains\" always; EVERY",
        &["GET /"],
    ),
    ("add_header Cache-Control no-store always; EVERY", &["GET /"]),
    (
        "location /x { proxy_pass http://echo; proxy_read_timeout 7s; } location /y { proxy_pass http://echo; proxy_read_timeout 8s; }",
        &["GET /x", "GET /y"],
    ),
    (
        "proxy_set_header X-Forwarded-Proto $scheme; EVERY",
        &[
            "GET / X-Forwarded-Proto: https",
            "GET / X-Forwarded-For: 192.0.2.1",
            "GET / Forwarded: for=192.0.2.1",
        ],
    ),
    (
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; EVERY",
        &[
            "GET /",
            "GET / X-Forwarded-For: 192.0.2.1",
            "GET / X-Forwarded-Proto: https",
            "GET / X-Request-Id: 7",
        ],
    ),
    (
        "proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Host $host; EVERY",
        &["GET / X-Forwarded-For: 192.0.2.1", "GET / X-Forwarded-Host: x.test"],
    ),
    (
        "set $a b; return 200 \"$a $uri $args$is_args\";",
        &["GET /x?y", "GET /%41"],
    ),
    (
        "return 200 \"$mapped $geo $split\";",
        &["GET /?m=a", "GET /?m=B", "GET /?m=x7&s=1", "GET /?s=2", "GET /?s=3"],
    ),
    (
        "add_header X-Mapped $mapped; EVERY",
        &["GET /?m=a", "GET /", "GET /status/404"],
    ),
    (
        "if ($request_method = POST) { return 405; } EVERY",
        &["GET /", "POST /5"],
    ),
    (
        "if ($http_x_a ~* \"^(ye)s\") { return 200 \"got $1\"; } EVERY",
        &["GET / X-A: YES", "GET / X-A: no", "GET /"],
    ),
    (
        "location / { if ($arg_a) { set $b yes; } if ($arg_a = 1) { rewrite ^ /one break; } proxy_pass http://echo; proxy_set_header X-B $b; }",
        &["GET /", "GET /?a=1", "GET /?a=0", "GET /?a=2"],
    ),
    (
        "rewrite ^/old/(.*)$ /new/$1 last; EVERY",
        &["GET /old/x?a=b", "GET /new", "GET /old/old/x"],
    ),
    (
        "rewrite ^/old/(.*)$ /new/$1?c=d last; location /new { return 200 \"$uri $args\"; } EVERY",
        &["GET /old/x?a=b", "GET /old/x", "GET /new"],
    ),
    (
        "location /a { rewrite ^/a/(.*)$ /b/$1 last; return 403; } location /b { return 200 \"$uri?$args\"; }",
        &["GET /a/x?q", "GET /a"],
    ),
    (
        "location /a { rewrite ^/a/(.*)$ /b/$1 break; proxy_pass http://echo; }",
        &["GET /a/x?q", "GET /a"],
    ),
    (
        "rewrite ^/p(.*)$ http://other.test$1 permanent; rewrite ^/q(.*)$ /r$1? redirect; EVERY",
        &["GET /p/x?y", "GET /q/x?y", "GET /r"],
    ),
    (
        "error_page 404 /e; location /e { return 200 page; } location / { return 404; }",
        &["GET /", "GET /e"],
    ),
    (
        "error_page 404 =200 /e; location /e { return 200 page; } location / { return 404; }",
        &["GET /"],
    ),
    (
        "error_page 404 = /e; location /e { return 201 page; } location / { return 404; }",
        &["GET /"],
    ),
    (
        "error_page 418 = @named; location /n { return 418; } location @named { return 200 \"named $uri\"; } EVERY",
        &["GET /n/x", "GET /@named", "GET /"],
    ),
    (
        "location /l { limit_except GET { deny all; } proxy_pass http://echo; }",
        &["GET /l", "HEAD /l", "POST /l/5", "PUT /l"],
    ),
    (
        "location / { error_page 502 /down; proxy_pass http://dead_too; } location /down { return 200 down; }",
        &["GET /"],
    ),
    (
        "location / { proxy_intercept_errors on; error_page 404 /e; proxy_pass http://echo; } location = /e { internal; return 200 page; }",
        &["GET /status/404", "GET /status/500", "GET /e", "GET /x"],
    ),
    ("location /c/ { set $up echo; proxy_pass http://$up; }", &["GET /c/x"]),
    ("absolute_redirect off; return 301 /new;", &["GET /old"]),
    ("port_in_redirect off; return 301 /new;", &["GET /old"]),
    ("location /s/ { proxy_pass http://echo; }", &["GET /s?a=b", "GET /s"]),
    (
        "add_header X-A a; add_header X-B b always; add_header ETag c; location / { proxy_pass http://echo; } location /s { return 202; } location /t { return 200 x; }",
        &[
            "GET /status/200",
            "GET /status/201",
            "GET /status/202",
            "GET /status/203",
            "GET /status/204",
            "GET /status/206",
            "GET /status/207",
            "GET /status/300",
            "GET /status/302",
            "GET /status/305",
            "GET /status/308",
            "GET /status/404",
            "GET /s",
            "GET /t",
        ],
    ),
    (
        "proxy_set_header X-Request-Start $request_id; proxy_set_header X-Request-Start \"\"; EVERY",
        &[],
    ),
];
