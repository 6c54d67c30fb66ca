//! Deployments as many people have them, in which nothing is wrong that is worth waking anybody for:
//! no rule reports anything at `firm` or above that is at least `medium`.

use cofferdam_finding::{Confidence, Severity};
use cofferdam_posture::{Deployment, Input};

const TABLE: &[(&str, &str)] = &[
    (
        "a web application with its database",
        r#"
version: "3.9"
name: shop
services:
  web:
    build: .
    ports: ["8000:8000"]
    environment:
      DATABASE_URL: postgres://shop:${DB_PASSWORD}@db:5432/shop
      DEBUG: "0"
    depends_on: [db, cache]
    restart: unless-stopped
    volumes:
      - ./static:/app/static:ro
      - media:/app/media
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: example
      POSTGRES_USER: shop
    volumes:
      - db:/var/lib/postgresql/data
      - /etc/localtime:/etc/localtime:ro
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -U shop"]
  cache:
    image: redis:8-alpine
    command: redis-server --save 60 1
    volumes: [/data]
volumes:
  db:
  media:
"#,
    ),
    (
        "nginx with its configuration and certificates",
        r#"
services:
  proxy:
    image: nginx:1.29
    user: "101:101"
    read_only: true
    tmpfs:
      - /var/cache/nginx
      - /var/run
    ports:
      - "80:8080"
      - target: 8443
        published: "443"
        protocol: tcp
    volumes:
      - ./nginx.conf:/etc/nginx/nginx.conf:ro
      - /etc/letsencrypt:/etc/letsencrypt:ro
      - type: bind
        source: ./html
        target: /usr/share/nginx/html
        read_only: true
    cap_drop: [ALL]
    cap_add: [NET_BIND_SERVICE]
    security_opt: [no-new-privileges:true]
"#,
    ),
    (
        "anchors, merges and extension fields",
        r#"
x-common: &common
  restart: always
  logging: &logging
    driver: json-file
    options: {max-size: 10m}
  security_opt:
    - no-new-privileges:true
services:
  a:
    <<: *common
    image: a:1
    environment: &env
      LOG_LEVEL: info
  b:
    <<: [*common]
    image: b:1
    environment:
      <<: *env
      MODE: worker
"#,
    ),
    (
        "a database that is locked down",
        r#"
services:
  mysql:
    image: mysql:9
    environment:
      MYSQL_ROOT_PASSWORD_FILE: /run/secrets/root
      MYSQL_DATABASE: app
    secrets: [root]
    volumes:
      - type: volume
        source: data
        target: /var/lib/mysql
        volume: {nocopy: true}
    ulimits: {nofile: 65535}
    shm_size: 256m
secrets:
  root: {file: ./root.txt}
volumes:
  data: {driver: local}
"#,
    ),
    (
        "volumes on a network and on a disk of their own",
        r#"
services:
  files:
    image: nextcloud:31
    volumes:
      - nfs:/data
      - /mnt/disk/nextcloud:/var/www/html
      - /srv/backup:/backup
volumes:
  nfs:
    driver: local
    driver_opts: {type: nfs, o: "addr=10.0.0.5,rw", device: ":/export"}
"#,
    ),
    (
        "a graphical program and a home automation with its stick",
        r#"
services:
  home:
    image: ghcr.io/home-assistant/home-assistant:stable
    devices: ["/dev/ttyUSB0:/dev/ttyUSB0", "/dev/dri/renderD128"]
    volumes:
      - /home/alice/homeassistant:/config
      - /etc/timezone:/etc/timezone:ro
      - /run/dbus:/run/dbus:ro
  vpn:
    image: wireguard
    cap_add: [NET_ADMIN]
    sysctls: {net.ipv4.conf.all.src_valid_mark: 1}
    devices: [/dev/net/tun]
"#,
    ),
    (
        "a service that asks a filtered proxy about containers",
        r#"
services:
  dashboard:
    image: homepage
    user: "1000"
    environment: {DOCKER_HOST: "tcp://socket-proxy:2375"}
  socket-proxy:
    image: tecnativa/docker-socket-proxy:0.3
    environment: {CONTAINERS: 1}
    volumes: ["/var/run/docker.sock:/var/run/docker.sock:ro"]
"#,
    ),
    (
        "continuous integration with a verified engine",
        r#"
services:
  runner:
    image: runner:1
    environment:
      DOCKER_HOST: tcp://docker:2376
      DOCKER_TLS_VERIFY: "1"
      DOCKER_CERT_PATH: /certs/client
    volumes: ["certs:/certs/client:ro"]
volumes:
  certs:
"#,
    ),
    (
        "a project below a home, by absolute path, as docker inspect shows it",
        r#"[{"Id":"5f","Name":"/shop-web-1","AppArmorProfile":"docker-default","State":{"Status":"running"},
 "HostConfig":{"Binds":["/home/alice/shop/static:/app/static:ro"],"NetworkMode":"shop_default","Privileged":false,
  "CapAdd":null,"CapDrop":null,"SecurityOpt":null,"PidMode":"","IpcMode":"private","UsernsMode":"","Devices":[],
  "MaskedPaths":["/proc/asound","/proc/kcore"],"ReadonlyPaths":["/proc/sys"],"Runtime":"runc",
  "RestartPolicy":{"Name":"unless-stopped","MaximumRetryCount":0}},
 "Mounts":[{"Type":"bind","Source":"/home/alice/shop/static","Destination":"/app/static","Mode":"ro","RW":false,"Propagation":"rprivate"},
  {"Type":"volume","Name":"shop_media","Source":"/var/lib/docker/volumes/shop_media/_data","Destination":"/app/media","Driver":"local","Mode":"z","RW":true,"Propagation":""}],
 "Config":{"User":"","Env":["PATH=/usr/bin","DJANGO_SECRET_KEY=abc"],"Cmd":["gunicorn"],"Image":"shop-web",
  "Labels":{"com.docker.compose.project":"shop","com.docker.compose.service":"web"}}}]"#,
    ),
    (
        "an engine as most hosts have it",
        r#"{"ID":"x","ServerVersion":"29.1.0","SecurityOptions":["name=apparmor","name=seccomp,profile=builtin","name=cgroupns"],
 "CgroupVersion":"2","DefaultRuntime":"runc","RuncCommit":{"ID":"v1.3.4-0-gd842d771"},"ContainerdCommit":{"ID":"75cb2b7193e4e490e9fbdc236c0e811ccaba3376"},
 "Plugins":{"Volume":["local"],"Authorization":null},"KernelVersion":"6.8.0","OperatingSystem":"Ubuntu 24.04","Warnings":null}"#,
    ),
];

#[test]
fn ordinary_deployments_give_nothing_that_is_sure_and_at_least_medium() {
    for (title, text) in TABLE {
        let read = Deployment::read(&[Input {
            name: "file",
            bytes: text.as_bytes(),
        }]);
        let deployment = read.unwrap_or_else(|error| panic!("{title}: {error}"));
        let engine = deployment.engine.iter().flat_map(|engine| &engine.findings);
        for finding in deployment
            .workloads
            .iter()
            .flat_map(|workload| &workload.findings)
            .chain(engine)
        {
            let loud =
                finding.confidence >= Confidence::Firm && finding.severity >= Severity::Medium;
            assert!(
                !loud,
                "{title}: {} {}: {}",
                finding.severity, finding.check, finding.description
            );
        }
    }
}
