// What a study found, in a form that all studies share: report/study.h makes text and pages of its JSON.
#pragma once

#include <string>
#include <vector>

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

  template <class V>
  void fields(V& v) {
    v("label", label, "name of the line");
    v("x", x, "places");
    v("y", y, "values there");
  }
};

struct StudyChart {
  std::string title, x, y;
  bool log_x = false;
  std::vector<StudySeries> series = {};

  template <class V>
  void fields(V& v) {
    v("title", title, "what is shown");
    v("x", x, "name of the axis");
    v("y", y, "name of the axis");
    v("log_x", log_x, "logarithmic");
    v("series", series, "lines");
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

struct StudyReport {
  std::string name, title, question;
  std::vector<std::string> findings;  // what came of it, a sentence each
  std::vector<StudyTable> tables;
  std::vector<StudyChart> charts;
  std::vector<PictureGroup> pictures;
  std::vector<std::string> method, limits;  // how it was done, and what so little cannot decide
  std::string source, command;

  template <class V>
  void fields(V& v) {
    v("name", name, "of the study");
    v("title", title, "what it is about");
    v("question", question, "what is asked");
    v("findings", findings, "what came of it");
    v("tables", tables, "figures");
    v("charts", charts, "figures as lines");
    v("pictures", pictures, "attention");
    v("method", method, "how it was done");
    v("limits", limits, "what it cannot decide");
    v("source", source, "whose claim or definition");
    v("command", command, "how to repeat it");
  }
};

}  // namespace triarch
