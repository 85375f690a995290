//! iceoryx2 for `yoke bench`: what ../iceoryx2.c calls, in a worker only.
//!
//! A worker joins both channels; whether it sends or receives through one shows at its first call,
//! which makes the port. Each channel is a publish-subscribe service, with an event service beside
//! it when the receiver is to sleep.

use core::ffi::{c_char, c_int, c_void, CStr};
use iceoryx2::port::{
    listener::Listener, notifier::Notifier, publisher::Publisher, subscriber::Subscriber,
};
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::{event, publish_subscribe};

const CHANNELS: usize = 2;
/// Two workers, and two that were killed.
const NODES: usize = 4;

type Problem = Box<dyn core::error::Error>;

struct Sender {
    publisher: Publisher<ipc::Service, [u8], ()>,
    notifier: Option<Notifier<ipc::Service>>,
}

struct Receiver {
    subscriber: Subscriber<ipc::Service, [u8], ()>,
    listener: Option<Listener<ipc::Service>>,
}

struct Channel {
    messages: publish_subscribe::PortFactory<ipc::Service, [u8], ()>,
    events: Option<event::PortFactory<ipc::Service>>,
    size: usize,
    sender: Option<Sender>,
    receiver: Option<Receiver>,
}

struct Worker {
    channels: Vec<Channel>,
    _node: Node<ipc::Service>,
}

impl Channel {
    fn join(
        node: &Node<ipc::Service>,
        index: usize,
        size: usize,
        depth: usize,
        block: bool,
    ) -> Result<Self, Problem> {
        let name: ServiceName = format!("channel {index}").as_str().try_into()?;
        let messages = node
            .service_builder(&name)
            .publish_subscribe::<[u8]>()
            .enable_safe_overflow(false) // a message must not be dropped for a newer one
            .subscriber_max_buffer_size(depth)
            .subscriber_max_borrowed_samples(1)
            .history_size(0)
            .max_publishers(1)
            .max_subscribers(1)
            .max_nodes(NODES)
            .open_or_create()?;
        let events = if block {
            let builder = node.service_builder(&name).event();
            Some(builder.max_nodes(NODES).open_or_create()?)
        } else {
            None
        };
        Ok(Channel {
            messages,
            events,
            size,
            sender: None,
            receiver: None,
        })
    }

    /// Waits for the subscriber: what is sent before it is there is for nobody.
    fn make_sender(&self) -> Result<Sender, Problem> {
        let publisher = self
            .messages
            .publisher_builder()
            .initial_max_slice_len(self.size)
            .max_loaned_samples(1)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?;
        while self.messages.dynamic_config().number_of_subscribers() == 0 {
            std::thread::yield_now();
        }
        let notifier = match &self.events {
            Some(events) => Some(events.notifier_builder().create()?),
            None => None,
        };
        Ok(Sender {
            publisher,
            notifier,
        })
    }

    /// The listener comes first, so that whoever sees the subscriber sees it, too.
    fn make_receiver(&self) -> Result<Receiver, Problem> {
        let listener = match &self.events {
            Some(events) => Some(events.listener_builder().create()?),
            None => None,
        };
        let subscriber = self.messages.subscriber_builder().create()?;
        Ok(Receiver {
            subscriber,
            listener,
        })
    }

    fn send(&mut self, message: &[u8]) -> Result<(), Problem> {
        if self.sender.is_none() {
            self.sender = Some(self.make_sender()?);
        }
        let Some(sender) = &self.sender else {
            unreachable!()
        };
        let sample = sender.publisher.loan_slice_uninit(message.len())?;
        sample.write_from_slice(message).send()?;
        if let Some(notifier) = &sender.notifier {
            notifier.notify()?;
        }
        Ok(())
    }

    /// False if a message of another size came.
    fn recv(&mut self, buffer: &mut [u8]) -> Result<bool, Problem> {
        if self.receiver.is_none() {
            self.receiver = Some(self.make_receiver()?);
        }
        let Some(receiver) = &self.receiver else {
            unreachable!()
        };
        loop {
            if let Some(sample) = receiver.subscriber.receive()? {
                let message = sample.payload();
                if message.len() != buffer.len() {
                    return Ok(false);
                }
                buffer.copy_from_slice(message);
                return Ok(true);
            }
            if let Some(listener) = &receiver.listener {
                listener.blocking_wait(|_| {})?;
            }
        }
    }
}

/// Everything that iceoryx2 leaves lies under `root`, or in /dev/shm with `prefix` before its name.
fn join(
    root: &str,
    prefix: &str,
    size: usize,
    depth: usize,
    block: bool,
) -> Result<Worker, Problem> {
    let mut config = Config::default();
    config.global.set_root_path(&Path::new(root.as_bytes())?);
    config.global.prefix = FileName::new(prefix.as_bytes())?;
    set_log_level(LogLevel::Fatal); // a problem is told once, by whoever called
    let node = NodeBuilder::new()
        .config(&config)
        .signal_handling_mode(SignalHandlingMode::Disabled)
        .create::<ipc::Service>()?;
    let mut channels = Vec::new();
    for index in 0..CHANNELS {
        channels.push(Channel::join(&node, index, size, depth, block)?);
    }
    Ok(Worker {
        channels,
        _node: node,
    })
}

/// A worker, or NULL, with the problem in `reason`. The worker ends with its process.
///
/// # Safety
/// `root`, `prefix`: strings; `reason`: room for `reason_size` bytes.
#[no_mangle]
pub unsafe extern "C" fn yoke_bench_iceoryx2_join(
    root: *const c_char,
    prefix: *const c_char,
    size: usize,
    depth: usize,
    block: bool,
    reason: *mut c_char,
    reason_size: usize,
) -> *mut c_void {
    let root = CStr::from_ptr(root).to_string_lossy();
    let prefix = CStr::from_ptr(prefix).to_string_lossy();
    match join(&root, &prefix, size, depth, block) {
        Ok(worker) => Box::into_raw(Box::new(worker)).cast(),
        Err(problem) => {
            let text = problem.to_string();
            let length = text.len().min(reason_size.saturating_sub(1));
            core::ptr::copy_nonoverlapping(text.as_ptr(), reason.cast(), length);
            reason.add(length).write(0);
            core::ptr::null_mut()
        }
    }
}

/// 0, or -1.
///
/// # Safety
/// `worker` comes from join; `message`: `size` bytes.
#[no_mangle]
pub unsafe extern "C" fn yoke_bench_iceoryx2_send(
    worker: *mut c_void,
    channel: usize,
    message: *const u8,
    size: usize,
) -> c_int {
    let worker = &mut *worker.cast::<Worker>();
    match worker.channels[channel].send(core::slice::from_raw_parts(message, size)) {
        Ok(()) => 0,
        Err(_) => -1,
    }
}

/// 0, 1 for a message of another size, or -1.
///
/// # Safety
/// `worker` comes from join; `buffer`: room for `size` bytes.
#[no_mangle]
pub unsafe extern "C" fn yoke_bench_iceoryx2_recv(
    worker: *mut c_void,
    channel: usize,
    buffer: *mut u8,
    size: usize,
) -> c_int {
    let worker = &mut *worker.cast::<Worker>();
    match worker.channels[channel].recv(core::slice::from_raw_parts_mut(buffer, size)) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(_) => -1,
    }
}
