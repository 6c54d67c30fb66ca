//! A new configuration comes into force while calls are served, and a wrong one does not.

use cofferdam_action::wire::By;
use cofferdam_audit::record::Event;

use crate::common::{Lab, create};

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_the_floor_and_a_wrong_one_changes_nothing() {
    let lab = Lab::new().await;
    let alice = lab.token("alice");
    let file = lab.dir.path().join("broker.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(lab.ask(&alice, create("one", &["true"])).await.is_ok());

    let strict = text.replace("images.local = true\nimages.allow = [\"*\"]\n", "");
    assert_ne!(strict, text);
    std::fs::write(&file, &strict).unwrap();
    lab.broker.reload(&file).await.unwrap();
    let refused = lab.ask(&alice, create("two", &["true"])).await.unwrap_err();
    assert!(
        matches!(refused.by, By::Floor | By::Ownership),
        "{refused:?}"
    );

    for wrong in [
        text.replace("keys =", "kyes ="),
        text.replace("/keys'", "/no-keys'"),
        text.replace("images.local", "policy = '/nowhere'\nimages.local"),
    ] {
        assert_ne!(wrong, text);
        std::fs::write(&file, &wrong).unwrap();
        lab.broker.reload(&file).await.unwrap_err();
        assert!(lab.ask(&alice, create("two", &["true"])).await.is_err());
    }

    std::fs::write(&file, &text).unwrap();
    lab.broker.reload(&file).await.unwrap();
    assert!(lab.ask(&alice, create("two", &["true"])).await.is_ok());
    let (_, records) = lab.finish().await;
    let told = records.iter().filter(|record| match &record.event {
        Event::Notice { text } => text.contains("fingerprint"),
        _ => false,
    });
    assert_eq!(told.count(), 2, "{records:?}");
}
