//! Messages on the wire as tonic's own codec has them, in buffers of their own size. tonic gives each
//! call two of 8 KiB, where most messages have a few hundred bytes: larger than what an allocator
//! keeps at hand.

use std::marker::PhantomData;

use prost::Message;
use tonic::{
    Status,
    codec::{BufferSettings, Codec, EncodeBuf, Encoder},
};
use tonic_prost::{ProstCodec, ProstDecoder};

/// Room for most messages; the others get their own when their length is known.
const ROOM: usize = 512;
/// How much of an answer that comes in several messages is sent at once, as tonic's default.
const SENT_AT_ONCE: usize = 32 << 10;

/// Reads `U` and writes `T`.
#[derive(Clone, Debug)]
pub struct Messages<T, U>(PhantomData<(T, U)>);

/// Writes `T`.
#[derive(Clone, Debug)]
pub struct Writer<T>(PhantomData<T>);

impl<T, U> Default for Messages<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for Messages<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = Writer<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Writer<T> {
        Writer(PhantomData)
    }

    fn decoder(&mut self) -> ProstDecoder<U> {
        ProstCodec::<T, U>::raw_decoder(buffers())
    }
}

impl<T: Message> Encoder for Writer<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(message.encoded_len());
        message.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}

fn buffers() -> BufferSettings {
    BufferSettings::new(ROOM, SENT_AT_ONCE)
}
