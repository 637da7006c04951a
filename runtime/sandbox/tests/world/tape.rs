//! A world that records every question and its answer, and one that replays them.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use jiff::Timestamp;

use reactor_core::event::Version;
use reactor_core::world::{HttpAnswer, HttpBody, HttpError, HttpHead, World};

/// A question of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    State(String),
    Wall,
    Elapsed,
    Random,
    Config(String),
    Environment,
    Sleep(Duration),
    Send(Box<HttpHead>),
}

/// The answer to it.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    State(Result<Option<(Bytes, Version)>, String>),
    Wall(Timestamp),
    Elapsed(Duration),
    Random(u64),
    Config(Option<String>),
    Environment(Vec<(String, String)>),
    Sleep,
    Send(Arc<Mutex<Exchange>>),
}

/// A request and its response, as far as they got.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) head: HttpHead,
    /// The request's body.
    pub(crate) sent: Vec<u8>,
    answer: Option<Result<(StatusCode, HeaderMap), HttpError>>,
    /// The response's body.
    pub(crate) pieces: Vec<Result<Bytes, HttpError>>,
}

/// In the order of the questions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tape(Vec<(Question, Answer)>);

impl Tape {
    pub(crate) fn entries(&self) -> &[(Question, Answer)] {
        &self.0
    }

    pub(crate) fn questions(&self) -> Vec<Question> {
        self.0.iter().map(|(question, _)| question.clone()).collect()
    }

    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        let of = |(_, answer): &(Question, Answer)| match answer {
            Answer::Send(exchange) => Some(hold(exchange).clone()),
            _ => None,
        };
        self.0.iter().filter_map(of).collect()
    }
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// Passes every question on, and records the answer.
pub(crate) struct Recorded<W> {
    world: Arc<W>,
    tape: Mutex<Tape>,
}

impl<W: World> Recorded<W> {
    pub(crate) fn new(world: Arc<W>) -> Self {
        Self { world, tape: Mutex::default() }
    }

    pub(crate) fn tape(&self) -> Tape {
        hold(&self.tape).clone()
    }

    fn keep<A>(&self, question: Question, answer: A, note: impl FnOnce(&A) -> Answer) -> A {
        hold(&self.tape).0.push((question, note(&answer)));
        answer
    }
}

impl<W: World> World for Recorded<W> {
    fn state(&self, key: &str) -> anyhow::Result<Option<(Bytes, Version)>> {
        self.keep(Question::State(key.to_owned()), self.world.state(key), |answer| {
            Answer::State(match answer {
                Ok(found) => Ok(found.clone()),
                Err(error) => Err(error.to_string()),
            })
        })
    }

    fn wall(&self) -> Timestamp {
        self.keep(Question::Wall, self.world.wall(), |answer| Answer::Wall(*answer))
    }

    fn elapsed(&self) -> Duration {
        self.keep(Question::Elapsed, self.world.elapsed(), |answer| Answer::Elapsed(*answer))
    }

    fn random(&self) -> u64 {
        self.keep(Question::Random, self.world.random(), |answer| Answer::Random(*answer))
    }

    fn config(&self, key: &str) -> Option<String> {
        let question = Question::Config(key.to_owned());
        self.keep(question, self.world.config(key), |answer| Answer::Config(answer.clone()))
    }

    fn environment(&self) -> Vec<(String, String)> {
        self.keep(Question::Environment, self.world.environment(), |answer| Answer::Environment(answer.clone()))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.keep(Question::Sleep(duration), self.world.sleep(duration), |_| Answer::Sleep)
    }

    fn send(&self, head: HttpHead, body: HttpBody) -> BoxFuture<'static, Result<HttpAnswer, HttpError>> {
        let question = Question::Send(Box::new(head.clone()));
        let exchange = Exchange { head: head.clone(), sent: Vec::new(), answer: None, pieces: Vec::new() };
        let exchange = Arc::new(Mutex::new(exchange));
        let exchange = self.keep(question, exchange, |exchange| Answer::Send(Arc::clone(exchange)));
        let kept = Arc::clone(&exchange);
        let body = body.map_frame(move |frame| {
            hold(&kept).sent.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            frame
        });
        let answer = self.world.send(head, body.boxed_unsync());
        Box::pin(async move {
            let answer = answer.await;
            let head = |answer: &HttpAnswer| (answer.status(), answer.headers().clone());
            hold(&exchange).answer = Some(answer.as_ref().map(head).map_err(|error| *error));
            answer.map(|answer| answer.map(|body| noted(body, exchange)))
        })
    }
}

/// A body whose pieces are recorded.
fn noted(body: HttpBody, exchange: Arc<Mutex<Exchange>>) -> HttpBody {
    let kept = Arc::clone(&exchange);
    body.map_frame(move |frame| {
        hold(&kept).pieces.extend(frame.data_ref().cloned().map(Ok));
        frame
    })
    .map_err(move |error| {
        hold(&exchange).pieces.push(Err(error));
        error
    })
    .boxed_unsync()
}

/// The question expected next, if any, and the actual one.
type Unlike = (Option<Question>, Question);

/// A world that knows only its tape.
pub(crate) struct Played {
    left: Mutex<std::vec::IntoIter<(Question, Answer)>>,
    unlike: Arc<Mutex<Option<Unlike>>>,
}

impl Played {
    pub(crate) fn new(tape: Tape) -> Self {
        Self { left: Mutex::new(tape.0.into_iter()), unlike: Arc::default() }
    }

    /// The number of answers that were not asked for.
    pub(crate) fn left(&self) -> usize {
        hold(&self.left).len()
    }

    /// The first question that did not match the tape.
    pub(crate) fn unlike(&self) -> Option<Unlike> {
        hold(&self.unlike).clone()
    }

    /// The answer, if the question matches the tape.
    fn answer(&self, question: Question) -> Option<Answer> {
        let next = hold(&self.left).next();
        match next {
            Some((kept, answer)) if kept == question => Some(answer),
            other => {
                hold(&self.unlike).get_or_insert((other.map(|(kept, _)| kept), question));
                None
            }
        }
    }
}

impl World for Played {
    fn state(&self, key: &str) -> anyhow::Result<Option<(Bytes, Version)>> {
        match self.answer(Question::State(key.to_owned())) {
            Some(Answer::State(answer)) => answer.map_err(anyhow::Error::msg),
            _ => anyhow::bail!("not on the tape"),
        }
    }

    fn wall(&self) -> Timestamp {
        let Some(Answer::Wall(answer)) = self.answer(Question::Wall) else { return Timestamp::UNIX_EPOCH };
        answer
    }

    fn elapsed(&self) -> Duration {
        let Some(Answer::Elapsed(answer)) = self.answer(Question::Elapsed) else { return Duration::ZERO };
        answer
    }

    fn random(&self) -> u64 {
        let Some(Answer::Random(answer)) = self.answer(Question::Random) else { return 0 };
        answer
    }

    fn config(&self, key: &str) -> Option<String> {
        let Some(Answer::Config(answer)) = self.answer(Question::Config(key.to_owned())) else { return None };
        answer
    }

    fn environment(&self) -> Vec<(String, String)> {
        let Some(Answer::Environment(answer)) = self.answer(Question::Environment) else { return Vec::new() };
        answer
    }

    /// No time passes.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.answer(Question::Sleep(duration));
        Box::pin(std::future::ready(()))
    }

    fn send(&self, head: HttpHead, body: HttpBody) -> BoxFuture<'static, Result<HttpAnswer, HttpError>> {
        let Some(Answer::Send(exchange)) = self.answer(Question::Send(Box::new(head.clone()))) else {
            return Box::pin(std::future::ready(Err(HttpError::Unavailable)));
        };
        let (exchange, unlike) = (hold(&exchange).clone(), Arc::clone(&self.unlike));
        Box::pin(async move {
            let sent = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            if sent != exchange.sent {
                hold(&unlike)
                    .get_or_insert((Some(Question::Send(Box::new(exchange.head))), Question::Send(Box::new(head))));
            }
            // A response that never came keeps the run waiting, as it did when recorded.
            let Some(answer) = exchange.answer else { return std::future::pending().await };
            let (status, headers) = answer?;
            let pieces = stream::iter(exchange.pieces).map(|piece| piece.map(Frame::data));
            let mut answer = Response::new(StreamBody::new(pieces).boxed_unsync());
            (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
            Ok(answer)
        })
    }
}
