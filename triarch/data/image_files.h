// Labelled pictures from files: IDX (the format of MNIST) and PNG.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "triarch/data/pictures.h"

namespace triarch {

struct LabelledPicture {
  std::string label;
  Picture picture;
};

// What a file in a folder of examples shows: the name of its own folder where that is not `root`, else its own name up
// to the first '_' or '.' ("7_george_3.wav" is a 7).
std::string label_of(const std::filesystem::path& file, const std::filesystem::path& root);
// All files of a folder and those below it with this ending, in order of their names. Usage error if it is no folder
// or has none.
std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder, const std::string& ending);

// Pictures of one size, from
//   an IDX file of pictures (*idx3-ubyte, also .gz), whose labels lie beside it (*idx1-ubyte);
//   a folder with one such file; or a folder of PNG files, labelled as label_of says.
// Usage error for what is none of these or has pictures of several sizes, error (corrupt) for damaged files.
std::vector<LabelledPicture> read_pictures(const std::filesystem::path& path);

// A PNG file's pixels, grey or in three channels; transparency is dropped.
Picture read_png(const std::filesystem::path& path);

}  // namespace triarch
