#include "triarch/data/decompress.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "triarch/base/error.h"

namespace triarch {
namespace {

constexpr size_t step = 1 << 18;

// A file, and what it is read for.
struct Named {
  std::string_view name, what;

  [[noreturn]] void damaged(std::string_view kind, std::string_view reason) const {
    fail(ExitCode::corrupt, "{}: '{}' is damaged or cut off ({}: {}); fetch or compress it again", what, name, kind,
         reason);
  }
};

std::string gunzip(std::string_view bytes, const Named& file) {
  z_stream stream{};
  require(inflateInit2(&stream, 16 + MAX_WBITS) == Z_OK, "{}: cannot start zlib for '{}'", file.what, file.name);
  const std::unique_ptr<z_stream, int (*)(z_stream*)> closer(&stream, inflateEnd);
  std::string out;
  int status = Z_STREAM_END;
  do {
    if (stream.avail_in == 0) {  // zlib counts in 32 bits
      const size_t n = std::min<size_t>(bytes.size(), 1 << 30);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
      stream.avail_in = uInt(n);
      bytes.remove_prefix(n);
    }
    if (status == Z_STREAM_END && stream.avail_in > 0) inflateReset(&stream);  // the next member
    const size_t before = out.size();
    out.resize(before + step);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    stream.avail_out = uInt(step);
    status = inflate(&stream, Z_NO_FLUSH);
    out.resize(out.size() - stream.avail_out);
    if (status == Z_BUF_ERROR) file.damaged("gzip", "it ends early");
    if (status != Z_OK && status != Z_STREAM_END) file.damaged("gzip", stream.msg ? stream.msg : "no gzip data");
  } while (status != Z_STREAM_END || stream.avail_in > 0 || !bytes.empty());
  return out;
}

std::string unzstd(std::string_view bytes, const Named& file) {
  const std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream(ZSTD_createDStream(), ZSTD_freeDStream);
  require(stream != nullptr, "{}: cannot start zstd for '{}'", file.what, file.name);
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  std::string out;
  size_t hint = 1;  // 0 when a frame is complete
  while (in.pos < in.size || hint != 0) {
    const size_t before = out.size();
    out.resize(before + step);
    ZSTD_outBuffer target{out.data() + before, step, 0};
    hint = ZSTD_decompressStream(stream.get(), &target, &in);
    out.resize(before + target.pos);
    if (ZSTD_isError(hint)) file.damaged("zstd", ZSTD_getErrorName(hint));
    if (hint != 0 && in.pos == in.size && target.pos < step) file.damaged("zstd", "it ends early");
  }
  return out;
}

}  // namespace

std::string decompress(std::string bytes, std::string_view name, std::string_view what) {
  if (bytes.starts_with("\x1f\x8b")) return gunzip(bytes, {name, what});
  if (bytes.starts_with("\x28\xb5\x2f\xfd")) return unzstd(bytes, {name, what});
  return bytes;
}

}  // namespace triarch
