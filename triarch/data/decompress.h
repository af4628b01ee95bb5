// Inside the room: .gz and .zst files.
#pragma once

#include <string>
#include <string_view>

namespace triarch {

// gzip (also several members in a row) and zstd are told by their first bytes; other bytes come back as
// they are. Error (corrupt) if the data is damaged or cut off; `name` is used in messages, which `what` opens.
std::string decompress(std::string bytes, std::string_view name, std::string_view what);

}  // namespace triarch
