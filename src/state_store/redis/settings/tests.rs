use super::*;

fn pairs(metadata: &[(&str, &str)]) -> Vec<(String, String)> {
    metadata.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn good(metadata: &[(&str, &str)]) -> RedisSettings {
    RedisSettings::parse(&pairs(metadata)).unwrap().0
}

fn warnings(metadata: &[(&str, &str)]) -> Vec<SettingsWarning> {
    RedisSettings::parse(&pairs(metadata)).unwrap().1
}

fn problems(metadata: &[(&str, &str)]) -> Vec<String> {
    let problems = RedisSettings::parse(&pairs(metadata)).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_given_is_the_local_server() {
    let settings = good(&[]);
    assert_eq!(settings.address(), "localhost:6379");
    assert_eq!(settings.database, 0);
    assert_eq!(settings.read_timeout, Some(Duration::from_secs(3)));
    assert_eq!(settings.write_timeout, Some(Duration::from_secs(3)));
    assert_eq!(settings.default_ttl, Ttl::Unchanged);
    assert_eq!((settings.username, settings.password, settings.tls), (None, None, None));
    assert!(warnings(&[("redisHost", ""), ("redisPassword", "")]).is_empty());
}

#[test]
fn host_and_port_meet_in_every_spelling() {
    for (host, port, address) in [
        ("redis", "", "redis:6379"),
        ("redis:7000", "", "redis:7000"),
        ("redis", "7000", "redis:7000"),
        ("redis:7000", "7000", "redis:7000"),
        ("redis:7000", "0", "redis:7000"),
        ("", "7000", "localhost:7000"),
        (":7000", "", "localhost:7000"),
        (" 10.0.0.1:1 ", "", "10.0.0.1:1"),
        ("::1", "", "[::1]:6379"),
        ("[::1]", "7000", "[::1]:7000"),
        ("[fe80::2]:7000", "", "[fe80::2]:7000"),
    ] {
        let port = (!port.is_empty()).then_some(("REDISPORT", port));
        let metadata: Vec<_> = [("redishost", host)].into_iter().chain(port).collect();
        assert_eq!(good(&metadata).address(), address, "{host}");
    }
}

#[test]
fn a_wrong_address_is_told() {
    assert_eq!(
        problems(&[("RedisHost", "r:1"), ("redisPort", "2")]),
        ["RedisHost: redis host \"r:1\" already contains port 1, but redisPort is set to 2; \
             either remove the port from redisHost or remove the redisPort setting"]
    );
    for host in ["a:1,b:2", "redis://a", "a b", "[::1", "[::1]x", "a:", "a:0", "a:65536", "a:x"] {
        let told = problems(&[("redisHost", host)]);
        assert_eq!(told.len(), 1, "{host}: {told:?}");
        assert!(told[0].starts_with("redisHost: "), "{told:?}");
    }
}

#[test]
fn all_problems_are_told_at_once_under_the_names_as_written() {
    let told = problems(&[
        ("ENABLETLS", "maybe"),
        ("redisDB", ""),
        ("readTimeout", "soon"),
        ("redisPort", "70000"),
        ("poolSize", "many"),
        ("ttlInSeconds", "9223372036854775807"),
    ]);
    let mut told: Vec<_> = told.iter().map(String::as_str).collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "ENABLETLS: invalid bool \"maybe\"",
            "poolSize: invalid int \"many\"",
            "readTimeout: invalid Duration \"soon\": time: invalid duration \"soon\"",
            "redisDB: invalid int \"\"",
            "redisPort: invalid uint16 \"70000\"",
            "ttlInSeconds: 9223372036854775807 seconds are more than redis can keep",
        ]
    );
    assert_eq!(
        problems(&[("redisDB", "256")]),
        ["redisDB: database 256 is not in the range 0 to 255"]
    );
}

#[test]
fn times_are_milliseconds_or_go_durations() {
    for (text, read) in [
        ("0", Some(Duration::from_secs(3))),
        ("250", Some(Duration::from_millis(250))),
        ("1m30s", Some(Duration::from_secs(90))),
        ("-1", None),
        ("-1s", None),
    ] {
        assert_eq!(good(&[("readTimeout", text)]).read_timeout, read, "{text}");
    }
    assert_eq!(good(&[("dialTimeout", "7s")]).connect_timeout, Duration::from_secs(7));
    let settings = good(&[("readTimeout", "5s"), ("writeTimeout", "100")]);
    assert_eq!(settings.write_timeout, Some(Duration::from_millis(100)));
    let settings = good(&[("readTimeout", "50"), ("writeTimeout", "100")]);
    assert_eq!(settings.write_timeout, Some(Duration::from_millis(50)));
}

#[test]
fn the_default_ttl_follows_the_rules_of_a_requests() {
    for (text, ttl) in [
        ("60", Ttl::Seconds(60)),
        ("0", Ttl::Persist),
        ("-1", Ttl::Persist),
        ("+5", Ttl::Seconds(5)),
    ] {
        assert_eq!(good(&[("ttlInSeconds", text)]).default_ttl, ttl);
    }
}

#[test]
fn what_would_silently_lose_protection_is_refused() {
    for (name, value) in [
        ("redisType", "cluster"),
        ("failover", "true"),
        ("useEntraID", "1"),
        ("useOIDC", "true"),
        ("primaryEncryptionKey", "00ff"),
        ("secondaryEncryptionKey", "00ff"),
        ("outboxPublishPubsub", "p"),
        ("outboxPublishTopic", "t"),
    ] {
        let told = problems(&[(name, value)]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(&format!("{name}: ")), "{told:?}");
        assert!(!told[0].contains("00ff"), "{told:?}");
    }
    for (name, value) in
        [("redisType", "node"), ("redisType", "Cluster"), ("failover", "false"), ("useOIDC", "f")]
    {
        assert!(warnings(&[(name, value)]).is_empty(), "{name}");
    }
}

#[test]
fn what_has_no_effect_is_a_note_and_what_is_unknown_a_warning() {
    let found = warnings(&[
        ("poolSize", "10"),
        ("redisMaxRetries", "3"),
        ("keyPrefix", "none"),
        ("actorStateStore", "true"),
        ("redisPasswrd", "x"),
        ("completelyDifferent", "x"),
        ("queryIndexes", "[]"),
        ("redisHost", "a"),
        ("REDISHOST", "b"),
    ]);
    let notes: Vec<_> = found.iter().filter(|found| found.weight == Weight::Note).collect();
    assert_eq!(notes.len(), 2);
    let mut told = found.iter().filter(|found| found.weight == Weight::Warning);
    let mut next = || told.next().map(|told| format!("{} {}", told.field, told.message)).unwrap();
    assert_eq!(next(), "redisPasswrd is no setting of state.redis: did you mean redisPassword?");
    assert_eq!(next(), "completelyDifferent is no setting of state.redis and has no effect");
    assert_eq!(next(), "queryIndexes has no effect: queries are not served");
    assert_eq!(next(), "REDISHOST is given more than once: the last one counts");
}

#[test]
fn tls_settings_are_read_and_checked() {
    let tls = good(&[("enableTLS", "true")]).tls.unwrap();
    assert!(tls.verify && tls.identity.is_none());
    let tls = good(&[("enableTLS", "T"), ("insecureSkipTLSVerify", "1")]).tls.unwrap();
    assert!(!tls.verify);
    let lonely = warnings(&[("enableTLS", "true"), ("clientCert", "x")]);
    assert_eq!(lonely[0].message, "has no effect without clientKey");
    let off = warnings(&[("clientCert", "x"), ("clientKey", "y")]);
    assert_eq!(off.len(), 2);

    let key = rcgen::KeyPair::generate().unwrap();
    let other_key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["client".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let with = |certificate: &str, key: &str| {
        RedisSettings::parse(&pairs(&[
            ("enableTLS", "true"),
            ("clientCert", certificate),
            ("clientKey", key),
        ]))
    };
    let (settings, _) = with(&certificate, &key.serialize_pem()).unwrap();
    assert!(settings.tls.unwrap().identity.is_some());
    for (certificate, key, field) in [
        ("no pem", key.serialize_pem(), "clientCert"),
        (certificate.as_str(), "no pem".to_owned(), "clientKey"),
        (certificate.as_str(), other_key.serialize_pem(), "clientKey"),
    ] {
        let problems = with(certificate, &key).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].field, field);
    }
}

#[test]
fn secrets_are_never_shown() {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["client".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let settings = good(&[
        ("redisPassword", "canary-password"),
        ("enableTLS", "true"),
        ("clientCert", &certificate),
        ("clientKey", &key.serialize_pem()),
    ]);
    let shown = format!("{settings:?}");
    assert!(!shown.contains("canary"), "{shown}");
    assert!(!shown.contains(&format!("{:?}", key.serialize_der())[1..40]), "{shown}");
}
