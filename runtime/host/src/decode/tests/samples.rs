//! AWS's own sample events, in the folder `aws`. Lambda wraps what SQS and SNS carry in `Records`; here they are unwrapped again.

use serde_json::Value as Json;

use reactor_core::attribute::Attribute;

use super::*;

fn read(name: &str) -> Json {
    let text = match name {
        "cloudwatch-alarm-sns-payload-single-metric.json" => {
            include_str!("aws/cloudwatch-alarm-sns-payload-single-metric.json")
        }
        "ecs-container-instance-state-change.json" => include_str!("aws/ecs-container-instance-state-change.json"),
        "s3-event-with-decoded.json" => include_str!("aws/s3-event-with-decoded.json"),
        "s3-event.json" => include_str!("aws/s3-event.json"),
        "ses-sns-event.json" => include_str!("aws/ses-sns-event.json"),
        "sns-event.json" => include_str!("aws/sns-event.json"),
        "sqs-event.json" => include_str!("aws/sqs-event.json"),
        other => panic!("there is no sample {other}"),
    };
    serde_json::from_str(text).expect("json")
}

fn whole(json: &Json) -> Result<Vec<Decoded>, DecodeError> {
    auto(&json.to_string())
}

#[test]
fn aws_samples_decode() {
    for name in ["s3-event.json", "s3-event-with-decoded.json"] {
        let event = only(whole(&read(name)));
        assert_eq!(event.event_type, "aws.s3.ObjectCreated:Put");
        assert_eq!(
            (event.source.as_str(), event.subject.as_deref()),
            ("arn:aws:s3:::mybucket", Some("Happy Face.jpg"))
        );
    }
    let event = only(whole(&read("ecs-container-instance-state-change.json")));
    assert_eq!((event.event_type.as_str(), event.source.as_str()), ("ECS Container Instance State Change", "aws.ecs"));
    assert!(event.subject.is_some_and(|subject| subject.starts_with("arn:aws:ecs:")));
    let topic = "arn:aws:sns:EXAMPLE";
    let event = only(whole(&read("sns-event.json")["Records"][0]["Sns"]));
    assert_eq!((event.event_type.as_str(), event.source.as_str()), ("aws.sns.notification", topic));
    assert_eq!(data(&event), r#""Hello from SNS!""#);
    let event = only(whole(&read("cloudwatch-alarm-sns-payload-single-metric.json")["Records"][0]["Sns"]));
    assert_eq!((event.event_type.as_str(), event.source.as_str()), ("aws.sns.notification", topic));
    assert!(data(&event).starts_with(r#"{"AlarmName": "EXAMPLE""#));
}

#[test]
fn aws_lambda_records_as_they_were_before() {
    let ses = &read("ses-sns-event.json")["Records"][0]["ses"];
    let mut wrapper = read("sns-event.json")["Records"][0]["Sns"].clone();
    wrapper["Message"] = Json::from(ses.to_string());
    let event = only(whole(&wrapper));
    assert_eq!((event.event_type.as_str(), data(&event)), ("aws.sns.notification", ses.to_string().as_str()));
    let record = &read("sqs-event.json")["Records"][0];
    let mut message = Message::from_body(record["body"].as_str().expect("body").to_owned());
    message.system.message_id = record["messageId"].as_str().map(str::to_owned);
    for (name, value) in record["messageAttributes"].as_object().expect("attributes") {
        let value = value["stringValue"].as_str().or(value["binaryValue"].as_str()).expect("value");
        message.attributes.push(Attribute::text(name, value));
    }
    assert_eq!(reason(run(Format::Auto, &message)), Reason::InvalidJson);
    let raw = RawFormat {
        source: Some(RawField::Attribute("Attribute1".into())),
        ..RawFormat::of(RawField::Constant("sqs.text".into()))
    };
    let event = only(run(Format::Raw(Box::new(raw)), &message));
    assert_eq!(
        (event.id.as_str(), event.source.as_str(), data(&event)),
        ("MessageID_1", "AttributeValue1", "Message Body")
    );
}
