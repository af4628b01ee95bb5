#include "triarch/report/assets.h"

// The assembler takes the bytes in as they are (.incbin); CMake says where the files are.
#define TRIARCH_EMBED(name, path)                                                    \
  __asm__(                                                                           \
      ".section .rodata\n"                                                           \
      ".balign 16\n"                                                                 \
      "triarch_" #name                                                               \
      "_begin:\n"                                                                    \
      ".incbin \"" path                                                              \
      "\"\n"                                                                         \
      "triarch_" #name                                                               \
      "_end:\n"                                                                      \
      ".byte 0\n"                                                                    \
      ".global triarch_" #name                                                       \
      "_begin\n"                                                                     \
      ".global triarch_" #name                                                       \
      "_end\n"                                                                       \
      ".text\n");                                                                    \
  extern "C" const char triarch_##name##_begin[];                                    \
  extern "C" const char triarch_##name##_end[];                                      \
  namespace triarch::report {                                                        \
  std::string_view name() { return {triarch_##name##_begin, triarch_##name##_end}; } \
  }

TRIARCH_EMBED(chart_js, TRIARCH_CHART_JS)
TRIARCH_EMBED(page_css, TRIARCH_REPORT_FOLDER "/page.css")
TRIARCH_EMBED(comparison_js, TRIARCH_REPORT_FOLDER "/comparison.js")
TRIARCH_EMBED(attention_js, TRIARCH_REPORT_FOLDER "/attention.js")
TRIARCH_EMBED(study_js, TRIARCH_REPORT_FOLDER "/study.js")
