// What a study found, in a form that all studies share: report/study.h makes text and pages of its JSON.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "triarch/base/fields.h"
#include "triarch/study/attention_picture.h"

namespace triarch {

struct StudyTable {
  std::string title;
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;

  template <class V>
  void fields(V& v) {
    v("title", title, "what is listed");
    v("head", head, "names of the columns");
    v("rows", rows, "cells");
  }
};

struct StudySeries {
  std::string label;
  std::vector<double> x, y;
  std::vector<double> low, high;  // a band around the line; or empty
  bool points = false;            // not joined by a line
  int64_t like = -1;              // drawn in the colour of this series; -1: in its own

  template <class V>
  void fields(V& v) {
    v("label", label, "name of the line");
    v("x", x, "places");
    v("y", y, "values there");
    v("low", low, "lower edge of a band; empty: there is none");
    v("high", high, "upper edge");
    v("points", points, "points, not joined by a line");
    v("like", like, "drawn in the colour of this series; -1: in its own");
  }
};

// A line across a chart, at one height.
struct StudyLevel {
  std::string label;
  double y = 0;

  template <class V>
  void fields(V& v) {
    v("label", label, "name of the line");
    v("y", y, "its height");
  }
};

struct StudyChart {
  std::string title, x, y;
  bool log_x = false, log_y = false;
  std::vector<StudySeries> series = {};
  std::vector<StudyLevel> levels = {};

  template <class V>
  void fields(V& v) {
    v("title", title, "what is shown");
    v("x", x, "name of the axis");
    v("y", y, "name of the axis");
    v("log_x", log_x, "logarithmic");
    v("log_y", log_y, "logarithmic");
    v("series", series, "lines");
    v("levels", levels, "lines across");
  }
};

struct PictureGroup {
  std::string title;
  std::vector<AttentionPicture> pictures;

  template <class V>
  void fields(V& v) {
    v("title", title, "whose attention");
    v("pictures", pictures, "each attention");
  }
};

enum class Verdict : uint8_t { undecided, supported, contradicted };
template <>
struct EnumNames<Verdict> {
  static constexpr std::pair<Verdict, const char*> table[] = {
      {Verdict::undecided, "undecided"}, {Verdict::supported, "supported"}, {Verdict::contradicted, "contradicted"}};
};

// What a study says about one of the reasons that are given for or against decoder-only models (study/reasons.h).
struct Evidence {
  std::string reason;  // its name
  Verdict verdict = Verdict::undecided;
  std::string figure;  // a sentence with the figure that decides, and its interval

  template <class V>
  void fields(V& v) {
    v("reason", reason, "its name");
    v("verdict", verdict, "supported, contradicted, or undecided at this size");
    v("figure", figure, "the figure that decides, with its interval");
  }
};

// What was shown, and what was said about it.
struct Exhibit {
  struct Said {
    std::string who, what;

    template <class V>
    void fields(V& v) {
      v("who", who, "which model");
      v("what", what, "what it said");
    }
  };
  std::string asked, truth;
  int64_t width = 0;   // of the picture
  std::string pixels;  // row by row, red, green and blue as two hexadecimal digits each
  std::vector<Said> said;

  template <class V>
  void fields(V& v) {
    v("asked", asked, "what was asked");
    v("truth", truth, "what is right");
    v("width", width, "pixels in a row");
    v("pixels", pixels, "row by row, red, green and blue as two hexadecimal digits each");
    v("said", said, "what models said");
  }
};

struct StudyDrawing {
  std::string title, svg;

  template <class V>
  void fields(V& v) {
    v("title", title, "what is drawn");
    v("svg", svg, "the drawing");
  }
};

struct StudyReport {
  std::string name, title, question;
  std::vector<std::string> findings;   // what came of it, a sentence each
  std::vector<Evidence> evidence;      // on reasons; often none
  std::vector<StudyDrawing> drawings;  // what explains it
  std::vector<StudyTable> tables;
  std::vector<StudyChart> charts;
  std::vector<PictureGroup> pictures;
  std::vector<Exhibit> exhibits = {};
  std::vector<std::string> method, limits;  // how it was done, and what so little cannot decide
  std::string source, command;

  template <class V>
  void fields(V& v) {
    v("name", name, "of the study");
    v("title", title, "what it is about");
    v("question", question, "what is asked");
    v("findings", findings, "what came of it");
    v("evidence", evidence, "on the reasons given for or against decoder-only models");
    v("drawings", drawings, "what explains it");
    v("tables", tables, "figures");
    v("charts", charts, "figures as lines");
    v("pictures", pictures, "attention");
    v("exhibits", exhibits, "what was shown, and what was said about it");
    v("method", method, "how it was done");
    v("limits", limits, "what it cannot decide");
    v("source", source, "whose claim or definition");
    v("command", command, "how to repeat it");
  }
};

}  // namespace triarch
