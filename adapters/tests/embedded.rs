//! The embedded Postgres on a real one: what it promises to whoever starts it, as root or as an ordinary user.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use adapters::embedded::testing::{TestCluster, TestClusterError, TestDatabase};
use adapters::embedded::{EmbeddedError, EmbeddedOptions, EmbeddedPostgres, OWNER_ROLE};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor};
use tempfile::TempDir;

/// Long enough for any machine; reached only when something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory that also the user whom root lets run the server may enter.
fn scratch() -> TempDir {
    let directory = tempfile::Builder::new().prefix("earnest-test-").tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

fn options(data_dir: impl Into<PathBuf>) -> EmbeddedOptions {
    EmbeddedOptions {
        allow_fetch: false,
        shared_buffers_mib: 32,
        max_connections: 20,
        ..EmbeddedOptions::new(data_dir)
    }
}

async fn connect(options: &PgConnectOptions) -> PgConnection {
    PgConnection::connect_with(options).await.unwrap()
}

async fn text(options: &PgConnectOptions, question: &str) -> String {
    sqlx::query_scalar(question).fetch_one(&mut connect(options).await).await.unwrap()
}

async fn count(options: &PgConnectOptions, question: &str) -> i64 {
    sqlx::query_scalar(question).fetch_one(&mut connect(options).await).await.unwrap()
}

fn sqlstate(error: &sqlx::Error) -> String {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .unwrap_or_else(|| panic!("{error}"))
        .into_owned()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn home(server: &EmbeddedPostgres) -> PathBuf {
    server.data_dir().join(format!("postgres-{}", server.major_version()))
}

fn server_pid(home: &Path) -> Option<Pid> {
    let text = fs::read_to_string(home.join("pgdata/postmaster.pid")).ok()?;
    Pid::from_raw(text.lines().next()?.parse().ok()?)
}

#[tokio::test]
async fn the_owner_owns_and_the_serving_login_may_only_enter() {
    let directory = scratch();
    let server = EmbeddedPostgres::start(options(directory.path().join("data"))).await.unwrap();
    assert!(!server.is_shared());

    let owner_of_database = "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()";
    assert_eq!(text(&server.app_options(), owner_of_database).await, OWNER_ROLE);
    let mut owner = connect(&server.owner_options()).await;
    owner
        .execute("CREATE SCHEMA books; CREATE TABLE books.entry (id bigint); CREATE TABLE loose (id bigint)")
        .await
        .unwrap();

    let mut app = connect(&server.app_options()).await;
    for refused in [
        "CREATE SCHEMA mine",
        "CREATE TABLE mine (id bigint)",
        "CREATE TEMP TABLE mine (id bigint)",
        "SELECT * FROM loose",
    ] {
        let error = app.execute(refused).await.unwrap_err();
        assert_eq!(sqlstate(&error), "42501", "{refused}");
    }
    for role in [server.owner_options(), server.app_options()] {
        let attributes = "SELECT concat(rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls) FROM pg_roles \
                          WHERE rolname = current_user";
        assert_eq!(text(&role, attributes).await, "fffff");
        for elsewhere in ["postgres", "template1"] {
            let error = PgConnection::connect_with(&role.clone().database(elsewhere)).await.unwrap_err();
            assert_eq!(sqlstate(&error), "42501", "{elsewhere}");
        }
    }
}

#[tokio::test]
async fn the_cluster_is_set_up_to_keep_data_and_secrets() {
    let directory = scratch();
    let server = EmbeddedPostgres::start(options(directory.path().join("data"))).await.unwrap();
    for (setting, value) in [
        ("data_checksums", "on"),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("jit", "off"),
        ("server_encoding", "UTF8"),
        ("listen_addresses", "127.0.0.1"),
        ("TimeZone", "UTC"),
        ("password_encryption", "scram-sha-256"),
    ] {
        assert_eq!(
            text(&server.admin_options(), &format!("SELECT current_setting('{setting}')")).await,
            value,
            "{setting}"
        );
    }

    let secrets = home(&server).join("secrets.json");
    assert_eq!(fs::metadata(&secrets).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(home(&server)).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(!home(&server).join("password").exists());
    let secrets: serde_json::Value = serde_json::from_str(&fs::read_to_string(&secrets).unwrap()).unwrap();
    let passwords: Vec<&str> = secrets.as_object().unwrap().values().map(|value| value.as_str().unwrap()).collect();
    assert_eq!(passwords.len(), 3);
    let shown = format!("{server:?}") + &fs::read_to_string(server.log_file()).unwrap();
    for password in &passwords {
        assert_eq!(password.len(), 64);
        assert!(!shown.contains(password));
    }

    // Over the network only the password opens.
    let network = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(server.port()).database("earnest");
    let with = |role: &str, password: &str| network.clone().username(role).password(password);
    let error = PgConnection::connect_with(&with(OWNER_ROLE, "guessed")).await.unwrap_err();
    assert_eq!(sqlstate(&error), "28P01");
    assert_eq!(
        text(&with(OWNER_ROLE, secrets["owner"].as_str().unwrap()), "SELECT current_user::text").await,
        OWNER_ROLE
    );
}

#[tokio::test]
async fn a_restart_keeps_data_and_logins_and_port() {
    let directory = scratch();
    let data_dir = directory.path().join("data");
    let server = EmbeddedPostgres::start(options(&data_dir)).await.unwrap();
    let (port, owner) = (server.port(), server.owner_options());
    connect(&owner).await.execute("CREATE TABLE kept AS SELECT 7::bigint AS id").await.unwrap();
    let home = home(&server);
    server.stop().await.unwrap();
    assert!(server_pid(&home).is_none(), "stopped in order");
    assert!(PgConnection::connect_with(&owner).await.is_err());

    let server = EmbeddedPostgres::start(options(&data_dir)).await.unwrap();
    assert!(!server.is_shared());
    assert_eq!(count(&server.owner_options(), "SELECT id FROM kept").await, 7);
    assert_eq!(server.port(), port, "nobody took it meanwhile");
    drop(server);
    assert!(server_pid(&home).is_none(), "dropping stops it, too");
}

#[tokio::test]
async fn a_taken_port_is_given_up() {
    let directory = scratch();
    let data_dir = directory.path().join("data");
    let server = EmbeddedPostgres::start(options(&data_dir)).await.unwrap();
    let port = server.port();
    server.stop().await.unwrap();
    let _squatter = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let server = EmbeddedPostgres::start(options(&data_dir)).await.unwrap();
    assert_ne!(server.port(), port);
}

#[tokio::test]
async fn a_second_start_shares_the_server_and_does_not_stop_it() {
    let directory = scratch();
    let data_dir = directory.path().join("data");
    // At the same moment on a new directory: one creates and starts, the other waits and shares.
    let (one, two) =
        tokio::join!(EmbeddedPostgres::start(options(&data_dir)), EmbeddedPostgres::start(options(&data_dir)));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one.is_shared(), two.is_shared());
    let (starter, guest) = if one.is_shared() { (two, one) } else { (one, two) };
    assert_eq!(starter.port(), guest.port());
    connect(&guest.owner_options()).await.execute("CREATE TABLE shared (id bigint)").await.unwrap();

    guest.stop().await.unwrap();
    drop(EmbeddedPostgres::start(options(&data_dir)).await.unwrap());
    assert_eq!(count(&starter.owner_options(), "SELECT count(*) FROM shared").await, 0);

    starter.stop().await.unwrap();
    assert!(!EmbeddedPostgres::start(options(&data_dir)).await.unwrap().is_shared());
}

/// Not a test of its own: what [`a_killed_parent_leaves_no_server_and_loses_no_acknowledged_row`] runs as another process.
#[test]
fn a_process_to_be_killed() {
    let Some(data_dir) = std::env::var_os("EARNEST_TEST_DATA_DIR") else {
        return;
    };
    let throwaway = std::env::var_os("EARNEST_TEST_THROWAWAY").is_some();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = EmbeddedPostgres::start(EmbeddedOptions { throwaway, ..options(data_dir) }).await.unwrap();
        let mut connection = connect(&server.owner_options()).await;
        connection.execute("CREATE TABLE IF NOT EXISTS acknowledged (id bigint)").await.unwrap();
        for id in 1_i64.. {
            sqlx::query("INSERT INTO acknowledged VALUES ($1)").bind(id).execute(&mut connection).await.unwrap();
            println!("\nacknowledged {id}");
        }
    });
}

/// Runs the process above, kills it with SIGKILL in the middle of writing; returns the last acknowledged row.
fn kill_in_the_middle(data_dir: &Path, throwaway: bool) -> i64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_process_to_be_killed", "--nocapture"]).env("EARNEST_TEST_DATA_DIR", data_dir);
    if throwaway {
        command.env("EARNEST_TEST_THROWAWAY", "1");
    }
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut last = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if let Some(id) = line.unwrap().strip_prefix("acknowledged ") {
            last = id.parse().unwrap();
            if last == 100 {
                child.kill().unwrap();
            }
        }
    }
    assert!(!child.wait().unwrap().success());
    assert!(last >= 100, "the process ended by itself");
    last
}

#[tokio::test]
async fn a_killed_parent_leaves_no_server_and_loses_no_acknowledged_row() {
    let directory = scratch();
    let data_dir = directory.path().join("data");
    let acknowledged = kill_in_the_middle(&data_dir, false);
    let cluster =
        fs::read_dir(&data_dir).unwrap().flatten().map(|entry| entry.path()).find(|path| path.is_dir()).unwrap();
    wait_until("the server ends after its parent", || server_pid(&cluster).is_none());

    let server = EmbeddedPostgres::start(options(&data_dir)).await.unwrap();
    assert!(!server.is_shared());
    let rows = count(&server.owner_options(), "SELECT count(*) FROM acknowledged").await;
    assert!(rows >= acknowledged, "{rows} rows, {acknowledged} acknowledged");
}

#[test]
fn a_killed_parent_leaves_no_throwaway_directory() {
    let directory = scratch();
    // Where root lets somebody else remove it: only its owner may in a sticky directory, and that is the server's user.
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let data_dir = directory.path().join("data");
    kill_in_the_middle(&data_dir, true);
    wait_until("the directory goes", || !data_dir.exists());
}

#[tokio::test]
async fn a_throwaway_directory_goes_with_its_server() {
    let server =
        EmbeddedPostgres::start(EmbeddedOptions { allow_fetch: false, ..EmbeddedOptions::throwaway() }).await.unwrap();
    let data_dir = server.data_dir().to_owned();
    assert_eq!(text(&server.admin_options(), "SHOW fsync").await, "on", "thrown away, but not careless");
    server.stop().await.unwrap();
    assert!(!data_dir.exists());

    let directory = scratch();
    let kept = EmbeddedOptions { throwaway: true, ..options(directory.path()) };
    assert!(matches!(EmbeddedPostgres::start(kept).await, Err(EmbeddedError::ForeignDirectory { .. })));
    assert!(directory.path().exists(), "what was there before is not thrown away");
}

#[tokio::test]
async fn a_killed_server_recovers_at_the_next_start() {
    let directory = scratch();
    let data_dir = directory.path().join("data");
    let server = EmbeddedPostgres::start(options(&data_dir)).await.unwrap();
    connect(&server.owner_options()).await.execute("CREATE TABLE kept AS SELECT 7::bigint AS id").await.unwrap();
    kill_process(server_pid(&home(&server)).unwrap(), Signal::KILL).unwrap();

    // Its processes may need a moment to notice; the start waits for them.
    let again = EmbeddedPostgres::start(options(&data_dir)).await.unwrap();
    assert!(!again.is_shared());
    assert_eq!(count(&again.owner_options(), "SELECT id FROM kept").await, 7);
    drop(server);
    assert_eq!(count(&again.owner_options(), "SELECT id FROM kept").await, 7, "the dead one takes nothing with it");
}

#[tokio::test]
async fn a_stale_process_file_is_no_obstacle() {
    let directory = scratch();
    let data_dir = directory.path().join("data");
    let server = EmbeddedPostgres::start(options(&data_dir)).await.unwrap();
    let file = home(&server).join("pgdata/postmaster.pid");
    let lines = fs::read_to_string(&file).unwrap();
    server.stop().await.unwrap();

    let mut dead = Command::new("true").spawn().unwrap();
    dead.wait().unwrap();
    let mut alive = Command::new("sleep").arg("600").spawn().unwrap();
    // A process id that nobody has; and, as happens in containers, one that now belongs to another program.
    let mut pids = vec![dead.id()];
    if cfg!(target_os = "linux") {
        pids.push(alive.id());
    }
    for pid in pids {
        let (_, rest) = lines.split_once('\n').unwrap();
        fs::write(&file, format!("{pid}\n{rest}")).unwrap();
        let owner = fs::metadata(file.parent().unwrap()).unwrap();
        if owner.uid() != fs::metadata(&file).unwrap().uid() {
            std::os::unix::fs::chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        let server = EmbeddedPostgres::start(options(&data_dir)).await.unwrap();
        assert!(!server.is_shared());
        server.stop().await.unwrap();
    }
    alive.kill().unwrap();
    alive.wait().unwrap();
}

#[tokio::test]
async fn data_of_another_major_version_are_refused_and_kept() {
    let directory = scratch();
    let data_dir = directory.path().join("data");
    let server = EmbeddedPostgres::start(options(&data_dir)).await.unwrap();
    let major = server.major_version();
    let home = home(&server);
    server.stop().await.unwrap();

    // Only the name says 14: damaged, or tampered with.
    let other = data_dir.join("postgres-14");
    fs::rename(&home, &other).unwrap();
    let error = EmbeddedPostgres::start(options(&data_dir)).await.unwrap_err();
    assert!(matches!(&error, EmbeddedError::ForeignDirectory { path, .. } if *path == other), "{error}");

    // Data of 14 indeed.
    fs::write(other.join("pgdata/PG_VERSION"), "14\n").unwrap();
    let error = EmbeddedPostgres::start(options(&data_dir)).await.unwrap_err();
    let EmbeddedError::OtherMajorVersion { path, data: 14, offered } = &error else { panic!("{error}") };
    assert_eq!(*path, other);
    assert!(offered.contains(&major));
    let entries = fs::read_dir(&data_dir).unwrap().flatten().map(|entry| entry.file_name());
    assert!(entries.into_iter().all(|name| name == "postgres-14" || name == "lock"), "no new cluster beside it");
}

#[tokio::test]
async fn a_directory_that_is_not_ours_is_left_alone() {
    let directory = scratch();
    fs::write(directory.path().join("PG_VERSION"), "15\n").unwrap();
    let error = EmbeddedPostgres::start(options(directory.path())).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::ForeignDirectory { .. }), "{error}");
}

#[tokio::test]
async fn without_a_server_the_error_says_what_to_install() {
    let directory = scratch();
    let none = EmbeddedOptions {
        bin_dir: None,
        search_installed: false,
        cache_dir: directory.path().join("cache"),
        ..options(directory.path().join("data"))
    };
    let error = EmbeddedPostgres::start(none).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::NoBinaries { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("install") && message.contains("EARNEST_POSTGRES_BIN") && message.contains("DATABASE_URL"),
        "{message}"
    );

    let wrong =
        EmbeddedOptions { bin_dir: Some(directory.path().to_owned()), ..options(directory.path().join("data")) };
    let error = EmbeddedPostgres::start(wrong).await.unwrap_err();
    assert!(
        matches!(&error, EmbeddedError::UnusableBinaries { directory: named, .. } if named == directory.path()),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_cannot_start_shows_its_last_words() {
    let directory = scratch();
    let mut nonsense = options(directory.path().join("data"));
    nonsense.settings.push(("no_such_setting".to_owned(), "1".to_owned()));
    let error = EmbeddedPostgres::start(nonsense).await.unwrap_err();
    let EmbeddedError::ServerExited { lines, .. } = &error else { panic!("{error}") };
    assert!(lines.contains("no_such_setting"), "{lines}");
    // And once the mistake is mended, the half-made first start is finished.
    EmbeddedPostgres::start(options(directory.path().join("data"))).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_is_served_over_loopback() {
    let directory = scratch();
    let server = EmbeddedPostgres::start(options(directory.path().join("x".repeat(120)))).await.unwrap();
    assert_eq!(text(&server.app_options(), "SELECT host(inet_client_addr())").await, "127.0.0.1");
}

#[tokio::test]
async fn root_is_told_when_the_server_cannot_reach_its_data() {
    let directory = scratch();
    if fs::metadata(directory.path()).unwrap().uid() != 0 {
        return; // An ordinary user reaches what is their own.
    }
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let error = EmbeddedPostgres::start(options(directory.path().join("data"))).await.unwrap_err();
    assert!(matches!(&error, EmbeddedError::NotReachable { barrier, .. } if barrier == directory.path()), "{error}");
}

static SETUPS: AtomicU32 = AtomicU32::new(0);

async fn numbers(template: TestDatabase) -> Result<(), sqlx::Error> {
    SETUPS.fetch_add(1, Ordering::SeqCst);
    let mut connection = PgConnection::connect_with(&template.owner_options).await?;
    connection.execute("CREATE TABLE numbers AS SELECT 1::bigint AS n").await?;
    std::mem::forget(connection); // A careless setup leaves a connection open; copies are made all the same.
    Ok(())
}

#[test]
fn every_test_gets_a_copy_of_its_own_from_any_runtime() {
    let threads: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let database = TestCluster::shared().unwrap().fresh_database("numbers", numbers).await.unwrap();
                    let mut owner = connect(&database.owner_options).await;
                    owner.execute("UPDATE numbers SET n = n + 1").await.unwrap();
                    assert_eq!(count(&database.admin_options, "SELECT sum(n)::bigint FROM numbers").await, 2);
                    let refused =
                        connect(&database.app_options).await.execute("SELECT * FROM numbers").await.unwrap_err();
                    assert_eq!(sqlstate(&refused), "42501");
                    database.name
                })
            })
        })
        .collect();
    let mut names: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 8);
    assert_eq!(SETUPS.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_setup_that_fails_is_tried_again() {
    let cluster = TestCluster::shared().unwrap();
    let failed = cluster.fresh_database("faulty", async |_| Err("no such migration")).await;
    let Err(TestClusterError::Setup { template, source }) = failed else { panic!("{failed:?}") };
    assert_eq!((template.as_str(), source.to_string().as_str()), ("faulty", "no such migration"));
    cluster.fresh_database("faulty", async |_| Ok::<_, sqlx::Error>(())).await.unwrap();

    let empty = cluster.empty_database().await.unwrap();
    assert_eq!(count(&empty.owner_options, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").await, 0);
}
