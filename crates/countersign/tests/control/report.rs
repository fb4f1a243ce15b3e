use countersign::control::{
    AuditFinding, AuditReport, MaestroLayer, NistAttackType, Severity, Timestamp, cross_layer_finding, score_of,
};
use serde_json::{Value, json};

fn finding(severity: Severity, layer: Option<MaestroLayer>) -> AuditFinding {
    AuditFinding {
        id: "CS-TEST-001".into(),
        severity,
        category: "test".into(),
        title: "t".into(),
        description: "d".into(),
        evidence: "e".into(),
        remediation: "r".into(),
        auto_fixable: severity == Severity::Low,
        references: vec![],
        owasp_asi: "ASI03".into(),
        maestro_layer: layer,
        nist_category: None,
    }
}

fn report(findings: Vec<AuditFinding>) -> AuditReport {
    AuditReport::new(Timestamp::parse("2026-01-01T00:00:00Z").unwrap(), "1.2.3", "system", findings)
}

#[test]
fn the_schema_is_that_of_the_crate() {
    let mut one = finding(Severity::Low, Some(MaestroLayer::L4));
    one.nist_category = Some(NistAttackType::Misuse);
    one.references = vec!["https://example.org".into()];
    let written = serde_json::to_string(&one).unwrap();
    assert_eq!(
        written,
        r#"{"id":"CS-TEST-001","severity":"LOW","category":"test","title":"t","description":"d","evidence":"e","remediation":"r","autoFixable":true,"references":["https://example.org"],"owaspAsi":"ASI03","maestroLayer":"L4","nistCategory":"misuse"}"#
    );
    assert_eq!(serde_json::from_str::<AuditFinding>(&written).unwrap(), one);
    let value = serde_json::to_value(report(vec![finding(Severity::Info, None)])).unwrap();
    let platform = value["platform"].clone();
    assert!(platform.as_str().is_some_and(|platform| !platform.is_empty()));
    assert_eq!(
        value,
        json!({
            "timestamp": "2026-01-01T00:00:00.000000000Z", "openclawVersion": "1.2.3", "secureopsVersion": "1.2.3",
            "platform": platform, "deploymentMode": "system", "score": 100,
            "findings": [{
                "id": "CS-TEST-001", "severity": "INFO", "category": "test", "title": "t", "description": "d",
                "evidence": "e", "remediation": "r", "autoFixable": false, "references": [], "owaspAsi": "ASI03",
            }],
            "summary": { "critical": 0, "high": 0, "medium": 0, "low": 0, "info": 1, "autoFixable": 0 },
        })
    );
    let keys: Vec<&String> = value.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 8);
}

#[test]
fn null_is_as_good_as_absent_and_unknown_keys_do_not_matter() {
    let mut value = serde_json::to_value(finding(Severity::High, None)).unwrap();
    value["maestroLayer"] = Value::Null;
    value["nistCategory"] = Value::Null;
    value["other"] = json!(1);
    assert_eq!(serde_json::from_value::<AuditFinding>(value.clone()).unwrap(), finding(Severity::High, None));
    for (key, bad) in [("severity", json!("High")), ("maestroLayer", json!("L8")), ("title", Value::Null)] {
        let mut broken = value.clone();
        broken[key] = bad;
        assert!(serde_json::from_value::<AuditFinding>(broken).is_err(), "{key}");
    }
}

#[test]
fn the_score_is_what_findings_leave_of_a_hundred() {
    let each: Vec<AuditFinding> = Severity::ALL.into_iter().map(|severity| finding(severity, None)).collect();
    assert_eq!(score_of(&each), 100 - 15 - 8 - 3 - 1);
    assert_eq!(score_of(&vec![finding(Severity::Critical, None); 7]), 0);
    assert_eq!(score_of(&[]), 100);
    let summary = report(each).summary;
    assert_eq!((summary.critical, summary.high, summary.medium, summary.low, summary.info), (1, 1, 1, 1, 1));
    assert_eq!(summary.auto_fixable, 1);
}

#[test]
fn weaknesses_of_three_layers_are_one_more() {
    use MaestroLayer::{L2, L4, L7};
    let with = |findings: &[(Severity, MaestroLayer)]| -> Vec<AuditFinding> {
        findings.iter().map(|(severity, layer)| finding(*severity, Some(*layer))).collect()
    };
    let low = Severity::Low;
    assert_eq!(cross_layer_finding(&with(&[(low, L2), (low, L4), (low, L4)])), None);
    assert_eq!(cross_layer_finding(&with(&[(low, L2), (low, L4), (Severity::Info, L7)])), None);
    let report = report(with(&[(low, L7), (low, L2), (low, L4)]));
    let last = report.findings.last().unwrap();
    assert_eq!(
        (last.id.as_str(), last.severity, last.category.as_str()),
        ("SC-CROSS-001", Severity::High, "cross-layer")
    );
    assert_eq!(last.evidence, "Affected layers: L2, L4, L7");
    assert_eq!((last.owasp_asi.as_str(), last.maestro_layer), ("ASI10", Some(MaestroLayer::L6)));
    assert_eq!(
        (last.nist_category, last.auto_fixable, last.references.len()),
        (Some(NistAttackType::Evasion), false, 1)
    );
    // It counts, too.
    assert_eq!(report.score, 100 - 3 - 8);
    assert_eq!(report.summary.high, 1);
}
