// The page: puts its parts together and starts them.
import uPlot from "uplot";

document.body.append(`uPlot ${uPlot.name}`);
