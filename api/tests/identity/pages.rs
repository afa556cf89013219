//! The pages, as a browser without scripts uses them.

use std::collections::BTreeMap;

use reqwest::redirect::Policy;

use super::{PASSWORD, Site, token_in};

/// A browser: keeps cookies, follows nothing by itself.
struct Browser<'a> {
    site: &'a Site,
    http: reqwest::Client,
    cookies: BTreeMap<String, String>,
}

struct Page {
    status: u16,
    location: Option<String>,
    headers: reqwest::header::HeaderMap,
    html: String,
}

impl Page {
    /// The value of a hidden field.
    fn hidden(&self, name: &str) -> String {
        let rest = self.html.split(&format!("name=\"{name}\" value=\"")).nth(1).expect(name);
        rest.split('"').next().unwrap().to_owned()
    }
}

impl<'a> Browser<'a> {
    fn new(site: &'a Site) -> Self {
        let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
        Self { site, http, cookies: BTreeMap::new() }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Page {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = request.header("cookie", cookies.join("; ")).send().await.unwrap();
        for cookie in response.headers().get_all("set-cookie") {
            let text = cookie.to_str().unwrap();
            assert!(text.contains("HttpOnly") && text.contains("SameSite=Lax"), "{text}");
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let location = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Page { status, location, headers, html: response.text().await.unwrap() }
    }

    async fn get(&mut self, path: &str) -> Page {
        let request = self.http.get(self.site.url(path));
        self.send(request).await
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let body = serde_urlencoded::to_string(fields).unwrap();
        let request = self.http.post(self.site.url(path)).body(body);
        self.send(request.header("content-type", "application/x-www-form-urlencoded")).await
    }

    /// Fills the form of a page in.
    async fn submit(&mut self, page: &Page, path: &str, fields: &[(&str, &str)]) -> Page {
        let token = page.hidden("csrf");
        let mut all = vec![("csrf", token.as_str())];
        all.extend(fields);
        self.post(path, &all).await
    }
}

/// From registering to signing out, with a second factor in between.
#[tokio::test]
async fn a_person_comes_in_by_the_pages() {
    let site = Site::new().await;
    let mut browser = Browser::new(&site);
    let email = ("email", "ada@example.com");
    let page = browser.get("/register").await;
    let policy = page.headers.get("content-security-policy").unwrap().to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert_eq!(page.headers.get("referrer-policy").unwrap(), "no-referrer");
    assert!(!page.html.contains("<script"));
    let weak = browser.submit(&page, "/register", &[email, ("password", "password"), ("role", "client")]).await;
    assert!(weak.status == 422 && weak.html.contains("tried first"), "{}", weak.html);
    browser.submit(&weak, "/register", &[email, ("password", PASSWORD), ("role", "client")]).await;
    let token = token_in(&site.mails("ada@example.com", 1).await[0].1);
    // A mail server that opens the link changes nothing.
    let link = browser.get(&format!("/verify-email?token={token}")).await;
    let welcome = browser.submit(&link, "/verify-email", &[("token", &token)]).await;
    assert!(welcome.html.contains("confirmed"), "{}", welcome.html);
    let page = browser.get("/sign-in").await;
    let wrong = browser.submit(&page, "/sign-in", &[email, ("password", "<b>wrong</b>")]).await;
    assert!(wrong.status == 400 && wrong.html.contains("Wrong address or password"), "{}", wrong.html);
    let done = browser.submit(&wrong, "/sign-in", &[email, ("password", PASSWORD)]).await;
    assert_eq!((done.status, done.location.as_deref()), (303, Some("/account")));
    let account = browser.get("/account").await;
    assert!(account.html.contains("ada@example.com"));
    let set_up = browser.submit(&account, "/account/second-factor", &[]).await;
    let (secret, link) = (set_up.hidden("secret"), set_up.hidden("link").replace("&amp;", "&"));
    let totp = totp_rs::Totp::from_url(&link).unwrap();
    assert_eq!(totp.secret().to_base32(), secret);
    let code = totp.generate(u64::try_from(site.clock.now().timestamp()).unwrap()).to_string();
    let fields = [("secret", secret.as_str()), ("link", &link), ("code", &code)];
    let codes = browser.submit(&set_up, "/account/second-factor/confirm", &fields).await;
    let recovery = codes.html.split("<li><code>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let account = browser.get("/account").await;
    let out = browser.submit(&account, "/sign-out", &[]).await;
    assert_eq!(out.location.as_deref(), Some("/sign-in"));
    assert_eq!(browser.get("/account").await.location.as_deref(), Some("/sign-in"));
    let page = browser.get("/sign-in").await;
    let asked = browser.submit(&page, "/sign-in", &[email, ("password", PASSWORD)]).await;
    let ticket = asked.hidden("ticket");
    let done = browser.submit(&asked, "/sign-in/code", &[("ticket", &ticket), ("code", &recovery)]).await;
    assert_eq!(done.location.as_deref(), Some("/account"));
}

/// CSRF: a form without the token, with another browser's, or sent by another site, does nothing.
#[tokio::test]
async fn a_form_of_another_site_does_nothing() {
    let site = Site::new().await;
    let user = site.user("ada@example.com", "client").await;
    let (mut browser, mut other) = (Browser::new(&site), Browser::new(&site));
    let page = browser.get("/sign-in").await;
    let fields = [("email", user.email.as_str()), ("password", PASSWORD)];
    let foreign = other.get("/sign-in").await.hidden("csrf");
    let bare = browser.post("/sign-in", &fields).await;
    let with_foreign = browser.post("/sign-in", &[("csrf", foreign.as_str()), fields[0], fields[1]]).await;
    let own = page.hidden("csrf");
    let body = serde_urlencoded::to_string([("csrf", own.as_str()), fields[0], fields[1]]).unwrap();
    let request = browser.http.post(site.url("/sign-in")).body(body).header("sec-fetch-site", "cross-site");
    let cross = browser.send(request.header("content-type", "application/x-www-form-urlencoded")).await;
    for page in [bare, with_foreign, cross] {
        assert_eq!(page.status, 403, "{}", page.html);
    }
    assert!(!browser.cookies.contains_key("earnest_session"));
    let done = browser.submit(&page, "/sign-in", &fields).await;
    assert_eq!(done.location.as_deref(), Some("/account"));
    let out = browser.post("/sign-out", &[]).await;
    assert_eq!(out.status, 403);
    assert_eq!(browser.get("/account").await.status, 200, "still signed in");
}

/// A forgotten password; the browser in which it was chosen is known afterwards. The page's cookie is no refresh token.
#[tokio::test]
async fn a_new_password_by_the_pages() {
    let site = Site::new().await;
    let user = site.user("ada@example.com", "client").await;
    let mut browser = Browser::new(&site);
    let page = browser.get("/forgotten-password").await;
    browser.submit(&page, "/forgotten-password", &[("email", &user.email)]).await;
    let token = token_in(&site.mails(&user.email, 2).await[0].1);
    let link = browser.get(&format!("/new-password?token={token}")).await;
    let done = browser.submit(&link, "/new-password", &[("token", &token), ("password", "eleven red pears")]).await;
    assert_eq!(done.location.as_deref(), Some("/sign-in"), "{}", done.html);
    for _ in 0..11 {
        site.login(&user.email, "wrong guess").await;
    }
    let page = browser.get("/sign-in").await;
    let fields = [("email", user.email.as_str()), ("password", "eleven red pears")];
    let done = browser.submit(&page, "/sign-in", &fields).await;
    assert_eq!(done.location.as_deref(), Some("/account"), "{}", done.html);
    let cookie = serde_json::json!({ "refresh_token": browser.cookies["earnest_session"] });
    assert_eq!(site.post("/v1/auth/refresh", cookie).await.status.as_u16(), 400);
    assert_eq!(browser.get("/account").await.location.as_deref(), Some("/sign-in"), "and the session is over");
}

/// The mailbox opens with its key only.
#[tokio::test]
async fn the_mailbox_needs_its_key() {
    let site = Site::new().await;
    site.register("ada@example.com", PASSWORD, "client").await.success().unwrap();
    site.mails("ada@example.com", 1).await;
    let mut browser = Browser::new(&site);
    assert_eq!(browser.get("/mailbox").await.status, 404);
    assert_eq!(browser.get("/mailbox?key=guess").await.status, 404);
    let url = site.world.server.mailbox_url().unwrap();
    let path = url.strip_prefix(&site.world.server.base_url()).unwrap().to_owned();
    assert_eq!(browser.get(&path).await.location.as_deref(), Some("/mailbox"));
    let page = browser.get("/mailbox").await;
    assert!(page.html.contains("ada@example.com") && page.html.contains("/verify-email?token="), "{}", page.html);
}
